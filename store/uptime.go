package store

import "time"

// Span is a stretch of time, From included and To not.
type Span struct{ From, To time.Time }

// Account says how a runner, or one of its components, was over some whole hours, as far as it was watched.
type Account struct {
	// Start is the beginning of the first hour, in UTC; Hours is how many hours it is of, all of them alike.
	Start time.Time
	Hours int
	// In is the time in each health while in service, Disabled the time out of service, and Unseen the time in which nobody looked: the
	// board did not run, or the source did not answer. What is missing to whole hours is the time before it was there, or yet to come.
	In               [numHealths]time.Duration
	Disabled, Unseen time.Duration
	// Failures counts how often it became unhealthy, Recoveries how often it was seen to be well again, and Recovering adds up how long
	// those took.
	Failures, Recoveries int
	Recovering           time.Duration
}

// Add adds another account's times and counts.
func (a *Account) Add(b Account) {
	for h := range a.In {
		a.In[h] += b.In[h]
	}
	a.Disabled += b.Disabled
	a.Unseen += b.Unseen
	a.Failures += b.Failures
	a.Recoveries += b.Recoveries
	a.Recovering += b.Recovering
}

// Watched is the time in service in which somebody looked.
func (a Account) Watched() (d time.Duration) {
	for _, x := range a.In {
		d += x
	}
	return d
}

// Total is all the time it is of.
func (a Account) Total() time.Duration { return a.Watched() + a.Disabled + a.Unseen }

// Up is the share of the watched time in which it worked, at least in part: healthy or degraded. What is unknown does not count as
// up. False when there was no such time.
func (a Account) Up() (share float64, ok bool) {
	watched := a.Watched()
	if watched == 0 {
		return 0, false
	}
	return float64(a.In[Healthy]+a.In[Degraded]) / float64(watched), true
}

// MeanRecovery is how long a recovery took on average; false when there was none.
func (a Account) MeanRecovery() (time.Duration, bool) {
	if a.Recoveries == 0 {
		return 0, false
	}
	return a.Recovering / time.Duration(a.Recoveries), true
}

// Condition is how a subject is for an account: a health, or out of service.
type Condition struct {
	Health   Health
	Disabled bool
}

// String is the word stored.
func (c Condition) String() string {
	if c.Disabled {
		return Disabled.String()
	}
	return c.Health.String()
}

// ParseCondition reads a word made by [Condition.String].
func ParseCondition(s string) (Condition, error) {
	if s == Disabled.String() {
		return Condition{Disabled: true}, nil
	}
	h, err := ParseHealth(s)
	return Condition{Health: h}, err
}

// Condition is the runner's.
func (r *Runner) Condition() Condition {
	if r.Observed == Disabled {
		return Condition{Disabled: true}
	}
	return Condition{Health: r.Health}
}

func (a *Account) spend(c Condition, seen, unseen time.Duration) {
	a.Unseen += unseen
	if c.Disabled {
		a.Disabled += seen
		return
	}
	a.In[c.Health] += seen
}

// Accounts divides a stretch of time in one condition into hours. Seen are the spans in which somebody looked, in order and apart from
// each other; the rest of the stretch is unseen, whatever the condition. Neighbouring hours that are alike and whole are one account, so
// that a month without a change is a few.
func Accounts(stretch Span, c Condition, seen []Span) (out []Account) {
	for at := stretch.From; at.Before(stretch.To); {
		for len(seen) > 0 && !seen[0].To.After(at) {
			seen = seen[1:] // over: a year has thousands of them
		}
		start := at.UTC().Truncate(time.Hour)
		n := 1
		if start.Equal(at) && at.After(stretch.From) { // the first hour may have been another condition's too, and is counted alone
			n = wholeHours(Span{at, stretch.To}, seen)
		}
		end := start.Add(time.Duration(n) * time.Hour)
		if end.After(stretch.To) {
			end = stretch.To
		}
		a := Account{Start: start, Hours: n}
		watched := overlap(Span{at, end}, seen)
		a.spend(c, watched, end.Sub(at)-watched)
		out = append(out, a)
		at = end
	}
	return out
}

// wholeHours is how many hours from the beginning of a stretch are alike, seen or unseen throughout; 1 at least.
func wholeHours(s Span, seen []Span) int {
	until := s.To // where it changes between seen and unseen
	for _, x := range seen {
		switch {
		case !x.To.After(s.From):
			continue
		case x.From.After(s.From):
			until = earliest(until, x.From)
		default:
			until = earliest(until, x.To)
		}
		break
	}
	return max(1, int(until.Sub(s.From)/time.Hour))
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func overlap(s Span, seen []Span) (d time.Duration) {
	for _, x := range seen {
		if !x.From.Before(s.To) {
			break
		}
		from, to := x.From, x.To
		if from.Before(s.From) {
			from = s.From
		}
		if to.After(s.To) {
			to = s.To
		}
		if to.After(from) {
			d += to.Sub(from)
		}
	}
	return d
}

// Hourly lays accounts out as n hours from start, one account each, whatever hours they were kept in.
func Hourly(accounts []Account, start time.Time, n int) []Account {
	start = start.UTC().Truncate(time.Hour)
	out := make([]Account, n)
	for i := range out {
		out[i] = Account{Start: start.Add(time.Duration(i) * time.Hour), Hours: 1}
	}
	for _, a := range accounts {
		first := int(a.Start.Sub(start) / time.Hour)
		share := a
		if a.Hours > 1 {
			share = a.oneHour()
		}
		for i := max(0, first); i < min(n, first+a.Hours); i++ {
			out[i].Add(share)
		}
	}
	return out
}

// oneHour is one of the hours of an account of several, which are alike.
func (a Account) oneHour() Account {
	n := time.Duration(a.Hours)
	for h := range a.In {
		a.In[h] /= n
	}
	a.Disabled /= n
	a.Unseen /= n
	return a
}
