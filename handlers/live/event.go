package live

import "bytes"

// Mode says how elements reach the page; see the Datastar protocol.
type Mode string

// The modes used beside the default, which morphs each element onto the one of its id.
const (
	ModeAfter   Mode = "after"
	ModePrepend Mode = "prepend"
	ModeRemove  Mode = "remove"
)

// AppendElements frames HTML whose top-level elements all have an id as one event: each is morphed onto the element of its id.
// Table rows and other elements must not share an event: the browser's parser drops one of the two.
func AppendElements(dst, html []byte) []byte {
	dst = append(dst, "event: datastar-patch-elements\n"...)
	return append(appendData(dst, "elements ", html), '\n')
}

// AppendElementsAt frames HTML as one event that puts it where mode and the CSS selector say.
func AppendElementsAt(dst []byte, mode Mode, selector, html []byte) []byte {
	dst = append(dst, "event: datastar-patch-elements\n"...)
	dst = appendData(dst, "mode ", []byte(mode))
	dst = appendData(dst, "selector ", selector)
	return append(appendData(dst, "elements ", html), '\n')
}

// AppendSignals frames a JSON object as one event that changes signals.
func AppendSignals(dst, json []byte) []byte {
	dst = append(dst, "event: datastar-patch-signals\n"...)
	return append(appendData(dst, "signals ", json), '\n')
}

// appendData starts a new data line at every CR, LF and CRLF. The browser ends a line at each of them, so that text with a
// bare CR, which no HTML escaping touches, would otherwise end the field and could forge an event. Nothing else ends a line:
// U+2028 and its like are bytes as any others.
func appendData(dst []byte, key string, data []byte) []byte {
	for len(data) > 0 {
		line, rest := data, []byte(nil)
		if i := bytes.IndexAny(data, "\r\n"); i >= 0 {
			line, rest = data[:i], data[i+1:]
			if data[i] == '\r' && len(rest) > 0 && rest[0] == '\n' {
				rest = rest[1:]
			}
		}
		dst = append(append(append(append(dst, "data: "...), key...), line...), '\n')
		data = rest
	}
	return dst
}
