package views

import "strings"

// exports are the lists that pages show, by the address of their streams: each answers as .json and .csv with the same query.
var exports = map[string]string{"/stream": "/runners", "/failures/stream": "/failures", "/findings/stream": "/findings", "/versions/stream": "/versions",
	"/place/stream": "/place", "/audit/stream": "/audit"}

// export is what the page's list is called as a file with that ending; blank for a page without a list. It keeps the filter.
func (s shell) export(ending string) string {
	path, query, _ := strings.Cut(s.Stream, "?")
	list, ok := exports[path]
	if !ok {
		return ""
	}
	return insightURL(list+ending, query)
}
