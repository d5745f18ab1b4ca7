// Package static is what the browser downloads: the style sheet, Datastar and a few small scripts of our own, embedded under
// names that hold a hash of their content, so that a browser may keep each of them for ever.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// Prefix is the path under which [Handler] is to be mounted.
const Prefix = "/static/"

// The pattern, unlike a name, builds without datastar.js, which is generated; [Check] says when it is missing.
//
//go:embed *.css *.js
var files embed.FS

// asset is one file, made ready once: its URL and both of its encodings never change while the program runs.
type asset struct {
	url, mime, etag string
	plain, gzipped  []byte
}

var byName, byURL = load()

func load() (byName, byURL map[string]*asset) {
	byName, byURL = map[string]*asset{}, map[string]*asset{}
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		panic(err) // an embedded directory can always be read
	}
	for _, e := range entries {
		body, err := files.ReadFile(e.Name())
		if err != nil {
			panic(err) // as can a file in it
		}
		a := newAsset(e.Name(), body)
		byName[e.Name()], byURL[a.url] = a, a
	}
	return byName, byURL
}

func newAsset(name string, body []byte) *asset {
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:8])
	ext := path.Ext(name)
	return &asset{
		url:     Prefix + strings.TrimSuffix(name, ext) + "." + hash + ext,
		mime:    contentType(ext),
		etag:    hash,
		plain:   body,
		gzipped: squeeze(body),
	}
}

// contentType does not ask the machine's MIME table for what is known: a machine may have a wrong one.
func contentType(ext string) string {
	switch ext {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	}
	return mime.TypeByExtension(ext)
}

func squeeze(body []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is a constant
	}
	if _, err = w.Write(body); err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // a buffer takes every write
	}
	return b.Bytes()
}

// URL is the address of a file, such as /static/app.0123456789abcdef.css for app.css. A file that is not there keeps its plain name.
func URL(name string) string {
	if a, ok := byName[name]; ok {
		return a.url
	}
	return Prefix + name
}

// Check reports a file that should have been generated before the program was built.
func Check() error {
	if _, ok := byName["datastar.js"]; !ok {
		return errors.New("this build lacks static/datastar.js: run make generate and build again")
	}
	return nil
}

// Handler serves the files under [Prefix], each for ever: a name that holds a hash never means another content.
func Handler() http.Handler { return http.HandlerFunc(serve) }

func serve(w http.ResponseWriter, r *http.Request) {
	a, ok := byURL[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD are allowed here", http.StatusMethodNotAllowed)
		return
	}
	h, body, tag := w.Header(), a.plain, `"`+a.etag+`"`
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		body, tag = a.gzipped, `"`+a.etag+`-gz"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Type", a.mime)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("ETag", tag)
	if strings.Contains(r.Header.Get("If-None-Match"), tag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // the reader has gone: nobody is left to tell
	}
}

// acceptsGzip reads Accept-Encoding as far as needed: gzip named and not refused with q=0. Case does not matter in it (RFC 9110).
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(strings.ToLower(header), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.TrimSpace(name) != "gzip" {
			continue
		}
		weight, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(q), "q="), 64)
		return err != nil || weight > 0
	}
	return false
}
