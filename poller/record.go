package poller

import (
	"context"
	"errors"
	"time"

	"trackside/store"
)

// record writes the changes, and those that could not be written before, within RecordTimeout. When the disk fails or is slow,
// the truth goes out all the same, and the next snapshot says since when history is missing. One attempt runs at a time: it is
// left to end by itself, and what came meanwhile is written with the next.
func (p *Poller) record(ctx context.Context, s *store.Snapshot, changes []store.Change, now time.Time) {
	p.unrecorded = append(p.unrecorded, changes...)
	if p.recording != nil && !p.finished() {
		p.impatient(now)
		p.trim()
		return
	}
	if p.overflow {
		for r := range s.Runners() {
			p.unrecorded = append(p.unrecorded, store.Change{After: r})
		}
		p.overflow = false
	}
	batch := p.unrecorded
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() { done <- p.recorder.Record(ctx, s, batch) }()
	timer := time.NewTimer(RecordTimeout)
	defer timer.Stop()
	select {
	case err := <-done:
		cancel()
		p.recorded(err, len(batch), now)
	case <-timer.C:
		p.recording, p.giveUp = done, cancel
		p.pending, p.overdue = len(batch), now.Add(time.Duration(len(batch))*RecordPerChange)
		p.impatient(now)
	}
}

// impatient says that history is missing, from the given time, once the attempt that is under way has had its time.
func (p *Poller) impatient(from time.Time) {
	if !time.Now().Before(p.overdue) {
		p.lost(errSlow, from)
	}
}

// trim bounds what waits for a disk that does not answer. What is dropped is lost to history; the runners themselves are written anew.
func (p *Poller) trim() {
	if over := len(p.unrecorded) - maxUnrecorded; over > 0 {
		p.unrecorded = append([]store.Change(nil), p.unrecorded[over:]...)
		p.pending = max(0, p.pending-over)
		p.overflow = true
	}
}

var errSlow = errors.New("the disk takes longer than " + RecordTimeout.String())

// finished reports whether the attempt that outlived its deadline has ended, and takes its result.
func (p *Poller) finished() bool {
	select {
	case err := <-p.recording:
		p.ended(err)
		return true
	default:
		return false
	}
}

// ended takes the result of the attempt that outlived its deadline.
func (p *Poller) ended(err error) {
	p.giveUp()
	p.recording, p.giveUp = nil, nil
	p.recorded(err, p.pending, time.Now())
}

// finish gives the disk a last chance, of RecordTimeout, and ends the attempt that is under way.
func (p *Poller) finish(ctx context.Context) {
	if p.recording == nil && len(p.unrecorded) > 0 {
		p.record(ctx, p.live.Current(), nil, time.Now())
	}
	if p.recording == nil {
		return
	}
	timer := time.AfterFunc(RecordTimeout, p.giveUp)
	defer timer.Stop()
	select {
	case err := <-p.recording:
		p.ended(err)
	case <-time.After(2 * RecordTimeout):
		p.log.Error("the disk hangs; an attempt to write is abandoned")
	}
}

func (p *Poller) recorded(err error, n int, now time.Time) {
	if err != nil {
		p.lost(err, now)
		p.trim()
		return
	}
	p.unrecorded = append([]store.Change(nil), p.unrecorded[n:]...)
	if !p.history.LostSince.IsZero() {
		p.log.Info("history is recorded again", "lost_since", p.history.LostSince)
	}
	p.history = store.History{}
}

// lost notes that history is not being written, and logs it once, at the transition.
func (p *Poller) lost(err error, now time.Time) {
	if p.history.LostSince.IsZero() {
		p.history.LostSince = now
		p.log.Error("history is not recorded; the board goes on", "error", store.ErrorText(err))
	}
	p.history.Problem = store.Clean(store.ErrorText(err), 300)
}
