package static

// datastar.js is the free bundle of Datastar, MIT licensed. It is not committed: it comes out of the Go module cache, checked.
//
//go:generate go run fetch.go
