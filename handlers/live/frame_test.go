package live

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"trackside/handlers/internal/sse"
)

// decode reads a stream that was cut, as every stream is.
func decode(t testing.TB, e Encoding, b []byte) string {
	t.Helper()
	var r io.Reader = bytes.NewReader(b)
	switch e {
	case Identity, numEncodings:
	case Gzip:
		z, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		r = z
	case Zstd:
		z, err := zstd.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		r = z
	}
	out, err := io.ReadAll(r)
	if err != nil && (e != Gzip || !errors.Is(err, io.ErrUnexpectedEOF)) {
		t.Fatal(err)
	}
	return string(out)
}

func TestEveryEncodingCarriesTheSameBytes(t *testing.T) {
	frames := []*Frame{NewFrame(1, []byte("event: a\n\n")), NewFrame(2, bytes.Repeat([]byte("<tr>row</tr>"), 5000)), NewFrame(3, []byte("x"))}
	want := ""
	for _, f := range frames {
		want += string(f.Bytes(Identity))
	}
	for e := range numEncodings {
		var stream []byte
		if e == Gzip {
			stream = append(stream, gzipHeader...)
		}
		for _, f := range frames {
			stream = append(stream, f.Bytes(e)...)
		}
		if got := decode(t, e, stream); got != want {
			t.Errorf("%q: got %d bytes, want %d", e, len(got), len(want))
		}
		if e != Identity && decode(t, e, Compress([]byte(want), e)) != want {
			t.Errorf("%q: a whole body does not come back", e)
		}
	}
}

func TestAFrameIsRenderedOnce(t *testing.T) {
	n := 0
	f := LazyFrame(1, func() []byte { n++; return []byte("hello") })
	for e := range numEncodings {
		f.Bytes(e)
		f.Bytes(e)
	}
	if n != 1 {
		t.Errorf("rendered %d times", n)
	}
}

func TestNegotiate(t *testing.T) {
	for header, want := range map[string]Encoding{
		"": Identity, "br": Identity, "gzip": Gzip, "GZIP;q=0.5, br": Gzip, "gzip, deflate, br, zstd": Zstd, "zstd, gzip": Zstd,
		"zstd;q=0, gzip": Gzip, "gzip; q=0.000": Identity, "gzip;q=0.01": Gzip,
	} {
		if got := Negotiate(header); got != want {
			t.Errorf("%q: got %q, want %q", header, got, want)
		}
	}
}

const forged = "name\revent: datastar-patch-signals\rdata: signals {a: document.title='PWN'}\r\r"

func TestTextCannotForgeAnEvent(t *testing.T) {
	for _, text := range []string{forged, strings.ReplaceAll(forged, "\r", "\n"), strings.ReplaceAll(forged, "\r", "\r\n"),
		strings.ReplaceAll(forged, "\r", "\u2028"), "\r", "\n\r\n\r", "\x00\u0085\v\f"} {
		for _, b := range [][]byte{AppendElements(nil, []byte(text)), AppendElementsAt(nil, ModeAfter, []byte("#a"), []byte(text)), AppendSignals(nil, []byte(text))} {
			checkOne(t, text, b)
		}
	}
}

// checkOne checks that bytes hold one event, which carries the text with every line break an LF.
func checkOne(t *testing.T, text string, b []byte) {
	t.Helper()
	events := sse.All(string(b))
	if len(events) != 1 {
		t.Fatalf("%q made %d events: %q", text, len(events), b)
	}
	want := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	e := events[0]
	got := e.Args["elements"] + e.Args["signals"]
	if got != strings.TrimSuffix(want, "\n") || e.ID != nil || e.Retry != "" {
		t.Errorf("%q came out as %q", text, got)
	}
	for k := range e.Args {
		if k != "elements" && k != "signals" && k != "mode" && k != "selector" {
			t.Errorf("%q made an argument %q", text, k)
		}
	}
}

func FuzzFraming(f *testing.F) {
	f.Add(forged)
	f.Add("\n\r\n\n\r")
	f.Add("a\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		checkOne(t, text, AppendElements(nil, []byte(text)))
		checkOne(t, text, AppendSignals(nil, []byte(text)))
	})
}

// FuzzNegotiate reads whatever a client says that it can decode: nothing is sent that it does not name.
func FuzzNegotiate(f *testing.F) {
	for _, s := range []string{"gzip, zstd;q=0", "zstd ; q = 0.000, *", "GZIP;q=1.0,,;", "identity;q=0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		if e := Negotiate(accept); e != Identity && !strings.Contains(strings.ToLower(accept), e.String()) {
			t.Errorf("%q gets %s", accept, e)
		}
	})
}
