package accounts

import (
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"time"

	"trackside/store"
)

// Hold returns a context that ends with ctx, and as soon as what hold names no longer counts.
func (s *Service) Hold(ctx context.Context, hold string) (context.Context, context.CancelFunc) {
	if hold == proxyHold {
		return context.WithTimeout(ctx, proxyTime)
	}
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[hold] == nil {
		s.held[hold] = map[*context.CancelFunc]bool{}
	}
	s.held[hold][&cancel] = true
	return ctx, func() {
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.held[hold], &cancel)
		if len(s.held[hold]) == 0 {
			delete(s.held, hold)
		}
	}
}

// end ends what rests on hold.
func (s *Service) end(hold string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for cancel := range s.held[hold] {
		(*cancel)()
	}
	delete(s.held, hold)
}

// check ends what rests on what no longer counts. A book that cannot be read ends nothing. Who has a stream open is seen.
func (s *Service) check(ctx context.Context) {
	s.mu.Lock()
	holds := slices.Collect(maps.Keys(s.held))
	s.mu.Unlock()
	for _, hold := range holds {
		if err := s.still(ctx, hold); errors.Is(err, store.ErrNotFound) {
			s.end(hold)
		}
	}
}

// still is store.ErrNotFound for what does not count any more.
func (s *Service) still(ctx context.Context, hold string) error {
	if id := cutHold(hold, tokenHold); id != "" {
		t, err := s.cfg.Book.Token(ctx, id)
		if err == nil && !t.Counts(time.Now()) {
			return errNoSession
		}
		return err
	}
	id := cutHold(hold, sessionHold)
	hash, err := hex.DecodeString(id)
	if err != nil {
		return errNoSession
	}
	if _, err = s.session(ctx, hash); err == nil {
		s.note(s.seen, id)
	}
	return err
}

// Run ends streams with their sessions, writes who was seen, and forgets old sessions, until ctx ends.
func (s *Service) Run(ctx context.Context) {
	if s.provider != nil {
		go s.provider.run(ctx)
	}
	check, write, prune := time.NewTicker(checkEvery), time.NewTicker(writeEvery), time.NewTicker(pruneEvery)
	defer check.Stop()
	defer write.Stop()
	defer prune.Stop()
	for {
		select {
		case <-ctx.Done():
			s.write(context.WithoutCancel(ctx))
			return
		case <-check.C:
			s.check(ctx)
		case <-write.C:
			s.write(ctx)
		case now := <-prune.C:
			if err := s.cfg.Book.PruneSessions(ctx, now, now.Add(-max(wallIdle, s.cfg.Idle))); err != nil {
				s.cfg.Log.Warn("old sessions are not forgotten", "error", err)
			}
		}
	}
}

// writeTime bounds a write at the end.
const writeTime = 2 * time.Second

// write records who was seen since the last time. What is not written yet is kept, and counts.
func (s *Service) write(ctx context.Context) {
	s.mu.Lock()
	seen, used := maps.Clone(s.seen), maps.Clone(s.used)
	s.mu.Unlock()
	if len(seen)+len(used) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	if err := s.cfg.Book.Saw(ctx, seen, used); err != nil {
		s.cfg.Log.Warn("it is not recorded who was seen", "error", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	forget(s.seen, seen)
	forget(s.used, used)
}

// forget takes what is written out of what is not, but for what was seen again meanwhile.
func forget(noted, written map[string]time.Time) {
	maps.DeleteFunc(noted, func(id string, at time.Time) bool { return at.Equal(written[id]) })
}
