package store

import (
	"testing"
	"time"
)

// BenchmarkAccountsOfAYear divides a year without a change, in which the program was restarted four times a day.
func BenchmarkAccountsOfAYear(b *testing.B) {
	var seen []Span
	for i := range 365 * 4 {
		from := day.Add(time.Duration(i) * 6 * time.Hour)
		seen = append(seen, Span{from, from.Add(6*time.Hour - time.Minute)})
	}
	for b.Loop() {
		Accounts(Span{day, day.Add(365 * 24 * time.Hour)}, Condition{Health: Healthy}, seen)
	}
}
