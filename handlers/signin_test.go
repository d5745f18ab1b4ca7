package handlers

import (
	"net/url"
	"strings"
	"testing"
)

func TestLocalPath(t *testing.T) {
	for next, want := range map[string]string{"/": "/", "": "/", "/failures?q=a%20b&x=1#top": "/failures?q=a%20b&x=1", "//evil.example": "/", "/\\evil.example": "/", "https://evil.example": "/",
		"/\t/evil.example": "/", "/x y": "/", "javascript:alert(1)": "/", "/signin?next=/": "/", "/signout": "/", "/signin/callback?code=x": "/", "/signing": "/signing",
		"/runners/eu%2Fx/kubiya/a/b": "/runners/eu%2Fx/kubiya/a/b", "/" + strings.Repeat("x", maxNext): "/", "/é": "/", "/%zz": "/"} {
		if got := LocalPath(next); got != want {
			t.Errorf("%q: %q, want %q", next, got, want)
		}
	}
}

func FuzzLocalPath(f *testing.F) {
	for _, s := range []string{"/", "//x", "/\\x", "/a?b=c#d", "/%2f%2fx", "/..//x", "/.//x", "http:/x", "/;@x"} {
		f.Add(s)
	}
	board, _ := url.Parse("https://board.example.com/signin")
	f.Fuzz(func(t *testing.T, next string) {
		got := LocalPath(next)
		u, err := board.Parse(got)
		if err != nil || u.Host != board.Host || u.Scheme != "https" || u.User != nil || !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\\\r\n\t ") {
			t.Errorf("%q leads to %q", next, got)
		}
		if LocalPath(got) != got {
			t.Errorf("%q becomes %q, which becomes %q", next, got, LocalPath(got))
		}
	})
}
