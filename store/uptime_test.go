package store

import (
	"testing"
	"time"
)

var day = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func clock(h, m int) time.Time {
	return day.Add(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute)
}

func span(h1, m1, h2, m2 int) Span { return Span{clock(h1, m1), clock(h2, m2)} }

func sum(accounts []Account) (a Account) {
	for _, x := range accounts {
		a.Add(x)
	}
	return a
}

func TestAccounts(t *testing.T) {
	always := []Span{span(-100, 0, 1000, 0)}
	for name, c := range map[string]struct {
		stretch         Span
		seen            []Span
		accounts        int
		watched, unseen time.Duration
	}{
		"within an hour":           {span(1, 10, 1, 40), always, 1, 30 * time.Minute, 0},
		"over the full hour":       {span(1, 50, 2, 10), always, 2, 20 * time.Minute, 0},
		"a month is three":         {span(1, 30, 721, 15), always, 3, 720*time.Hour - 15*time.Minute, 0},
		"whole hours":              {span(1, 0, 5, 0), always, 2, 4 * time.Hour, 0},
		"nobody looked":            {span(1, 30, 9, 15), nil, 3, 0, 7*time.Hour + 45*time.Minute},
		"a restart":                {span(0, 0, 10, 0), []Span{span(0, 0, 4, 20), span(4, 25, 20, 0)}, 4, 10*time.Hour - 5*time.Minute, 5 * time.Minute},
		"a night without":          {span(0, 0, 24, 0), []Span{span(0, 0, 4, 30), span(12, 30, 24, 0)}, 6, 16 * time.Hour, 8 * time.Hour},
		"looked only later":        {span(0, 0, 10, 0), []Span{span(5, 0, 20, 0)}, 3, 5 * time.Hour, 5 * time.Hour},
		"nothing":                  {span(3, 0, 3, 0), always, 0, 0, 0},
		"backwards":                {span(3, 0, 2, 0), always, 0, 0, 0},
		"two restarts in one hour": {span(0, 0, 2, 0), []Span{span(0, 0, 1, 10), span(1, 20, 1, 30), span(1, 40, 9, 0)}, 2, 100 * time.Minute, 20 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			got := Accounts(c.stretch, Condition{Health: Healthy}, c.seen)
			all := sum(got)
			if len(got) != c.accounts || all.In[Healthy] != c.watched || all.Watched() != c.watched || all.Unseen != c.unseen {
				t.Errorf("%d accounts, %v watched, %v unseen; want %d, %v, %v: %+v", len(got), all.Watched(), all.Unseen, c.accounts, c.watched, c.unseen, got)
			}
			for _, a := range got {
				if a.Total() > time.Duration(a.Hours)*time.Hour || a.Hours > 1 && a.Total() != time.Duration(a.Hours)*time.Hour || a.Start != a.Start.Truncate(time.Hour) {
					t.Errorf("%+v", a)
				}
			}
		})
	}
}

func TestHourlyLaysOutWhatAccountsTook(t *testing.T) {
	accounts := Accounts(span(0, 30, 30, 15), Condition{Health: Healthy}, []Span{span(0, 0, 4, 20), span(9, 40, 99, 0)})
	accounts = append(accounts, Account{Start: clock(30, 0), Hours: 1, Failures: 2})
	hours := Hourly(accounts, clock(0, 0), 48)
	if all := sum(hours); all.In[Healthy]+all.Unseen != 29*time.Hour+45*time.Minute || all.Unseen != 5*time.Hour+20*time.Minute || all.Failures != 2 {
		t.Errorf("%+v", all)
	}
	for i, want := range map[int]time.Duration{0: 30 * time.Minute, 1: time.Hour, 4: 20 * time.Minute, 6: 0, 9: 20 * time.Minute, 20: time.Hour, 30: 15 * time.Minute, 31: 0} {
		if hours[i].In[Healthy] != want || !hours[i].Start.Equal(clock(i, 0)) {
			t.Errorf("hour %d: %+v, want %v healthy", i, hours[i], want)
		}
	}
	// A window in the midst of one long account.
	if part := Hourly(accounts, clock(15, 59), 3); sum(part).In[Healthy] != 3*time.Hour || !part[0].Start.Equal(clock(15, 0)) {
		t.Errorf("%+v", part)
	}
}

func TestUpAndRecovery(t *testing.T) {
	a := Account{Unseen: time.Hour, Disabled: time.Hour}
	if _, ok := a.Up(); ok {
		t.Error("nobody looked, and yet it was up")
	}
	if _, ok := a.MeanRecovery(); ok {
		t.Error("it never recovered")
	}
	a.In[Healthy], a.In[Degraded], a.In[Unhealthy], a.In[Unknown] = 60*time.Minute, 15*time.Minute, 15*time.Minute, 10*time.Minute
	if up, ok := a.Up(); !ok || up != 0.75 {
		t.Errorf("up %v", up)
	}
	a.Recoveries, a.Recovering = 4, time.Hour
	if d, _ := a.MeanRecovery(); d != 15*time.Minute {
		t.Errorf("recovers in %v", d)
	}
}

func TestConditionWords(t *testing.T) {
	for _, c := range []Condition{{Health: Healthy}, {Health: Degraded}, {Health: Unhealthy}, {}, {Disabled: true}} {
		if got, err := ParseCondition(c.String()); err != nil || got != c {
			t.Errorf("%v: %v, %v", c, got, err)
		}
	}
	if _, err := ParseCondition("fine"); err == nil {
		t.Error("an unknown word is read")
	}
}

func TestApplyAttachesEvidence(t *testing.T) {
	a, b, gone := Ref{"c", "s", "n", "a"}, Ref{"c", "s", "n", "b"}, Ref{"c", "s", "n", "gone"}
	mk := func(ref Ref, h Health) *Runner { return &Runner{Ref: ref, Verdict: Verdict{Health: h, Why: "x."}} }
	s, _ := Apply(&Snapshot{}, Touched{Runners: []*Runner{mk(a, Healthy), mk(b, Healthy)}}, day)
	next, changes := Apply(s, Touched{Runners: []*Runner{mk(a, Unhealthy)}, Evidence: []Evidence{{ID: "1", Ref: a}, {ID: "2", Ref: b}, {ID: "3", Ref: gone}, {ID: "4", Ref: a}}}, clock(0, 1))
	if next == s || len(changes) != 3 {
		t.Fatalf("%d changes", len(changes))
	}
	if c := changes[0]; c.Ref() != a || len(c.Events) != 1 || len(c.Evidence) != 2 {
		t.Errorf("the change that failed: %+v", c)
	}
	if c := changes[1]; c.Ref() != b || c.Before != c.After || c.After == nil || len(c.Events) != 0 || c.Evidence[0].ID != "2" {
		t.Errorf("evidence alone: %+v", c)
	}
	if c := changes[2]; c.Ref() != gone || c.Before != nil || c.After != nil || c.Evidence[0].ID != "3" {
		t.Errorf("evidence of a runner that has gone: %+v", c)
	}
}
