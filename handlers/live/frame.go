// Package live carries what changes from the board to its viewers: it renders once, frames once and compresses once for each
// change and view, and hands the same bytes to everybody who looks at it.
//
// A [Hub] follows the store's live feed with one goroutine. It keeps a view for each distinct [Page] somebody looks at, asks
// the page what a change means for it, and puts the answer, a [Frame], into the queue of each [Viewer]. Whatever is
// slow (rendering a page in full, reading its history, compressing, writing to a browser) happens in the goroutines of
// the viewers, the first of whom does it for all; so neither a publisher nor the hub ever waits for a reader.
package live

import (
	"bytes"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Encoding is the Content-Encoding of a response.
type Encoding uint8

// The encodings. A stream in gzip is one member whose segments are deflated apart, each with a sync flush at its end; in zstd it
// is a sequence of frames. Browsers read both; they stop after the first of several gzip members, and brotli
// streams can not be put one after another at all.
const (
	Identity Encoding = iota
	Gzip
	Zstd
	numEncodings
)

// String is the token of HTTP, blank for Identity.
func (e Encoding) String() string { return [numEncodings]string{"", "gzip", "zstd"}[e] }

// Negotiate picks the best encoding that an Accept-Encoding header lets through.
func Negotiate(accept string) Encoding {
	best := Identity
	for part := range strings.SplitSeq(accept, ",") {
		token, params, _ := strings.Cut(part, ";")
		q := strings.ReplaceAll(params, " ", "")
		if q == "q=0" || strings.HasPrefix(q, "q=0.0") && strings.Trim(q[4:], "0") == "" {
			continue
		}
		switch strings.ToLower(strings.TrimSpace(token)) {
		case "zstd":
			best = Zstd
		case "gzip":
			best = max(best, Gzip)
		}
	}
	return best
}

// gzipHeader begins the one member of a stream; it is sent once, before the first segment.
var gzipHeader = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}

// Frame is a piece of a stream, immutable, in every encoding. What nobody asks for is never made; what is made is made once.
type Frame struct {
	// Rev is the revision of the snapshot that a page shows after this frame; 0 for one that changes no elements.
	Rev  uint64
	raw  func() []byte
	encs [numEncodings]struct {
		once sync.Once
		data []byte
	}
}

// NewFrame makes a frame of events.
func NewFrame(rev uint64, events []byte) *Frame {
	return &Frame{Rev: rev, raw: func() []byte { return events }}
}

// LazyFrame makes a frame that is rendered when somebody needs it, by whoever needs it first.
func LazyFrame(rev uint64, render func() []byte) *Frame { return &Frame{Rev: rev, raw: render} }

// Bytes is the frame in one encoding. The bytes are shared and must not be changed.
func (f *Frame) Bytes(e Encoding) []byte {
	x := &f.encs[e]
	x.once.Do(func() {
		if e == Identity {
			x.data = f.raw()
			return
		}
		x.data = segment(f.Bytes(Identity), e)
	})
	return x.data
}

// segment compresses a piece of a stream by itself, so that it can follow any other.
func segment(raw []byte, e Encoding) []byte {
	if len(raw) == 0 {
		return nil
	}
	if e == Zstd {
		return zstdEncoder.EncodeAll(raw, nil)
	}
	var b bytes.Buffer
	w := flaters.Get().(*flate.Writer)
	defer flaters.Put(w)
	w.Reset(&b)
	// A bytes.Buffer takes everything; an error here would be one of the compressor's own state, which Reset clears.
	_, _ = w.Write(raw)
	_ = w.Flush()
	return b.Bytes()
}

// Compress encodes a whole response body.
func Compress(body []byte, e Encoding) []byte {
	switch e {
	case Zstd:
		return zstdEncoder.EncodeAll(body, nil)
	case Gzip:
		var b bytes.Buffer
		w := gzippers.Get().(*gzip.Writer)
		defer gzippers.Put(w)
		w.Reset(&b)
		_, _ = w.Write(body)
		_ = w.Close()
		return b.Bytes()
	case Identity, numEncodings:
	}
	return body
}

// The compressors are few and shared: one costs up to a megabyte, which a thousand streams must not each hold.
var (
	flaters = sync.Pool{New: func() any {
		w, _ := flate.NewWriter(nil, 5) // the level is valid, and nothing else can fail
		return w
	}}
	gzippers = sync.Pool{New: func() any {
		w, _ := gzip.NewWriterLevel(nil, 5)
		return w
	}}
	zstdEncoder = newZstd()
)

func newZstd() *zstd.Encoder {
	// One window of 256 KiB covers the pages there are; the encoders are as many as may run at once.
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(256<<10),
		zstd.WithEncoderCRC(false), zstd.WithEncoderConcurrency(2), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic("zstd options: " + err.Error())
	}
	return w
}
