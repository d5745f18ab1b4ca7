package accounts

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"trackside/store"
)

// shelf is a Book in memory.
type shelf struct {
	mu       sync.Mutex
	sessions map[string]store.Session
	tokens   map[string]store.Token
	users    map[string]store.User
	broken   error
	saw      func() error // asked before it is written who was seen
}

func newShelf() *shelf {
	return &shelf{sessions: map[string]store.Session{}, tokens: map[string]store.Token{}, users: map[string]store.User{}}
}

func get[T any](s *shelf, from map[string]T, key string) (x T, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := from[key]
	if !ok {
		err = store.ErrNotFound
	}
	return x, errors.Join(s.broken, err)
}

func (s *shelf) User(_ context.Context, name string) (store.User, error) {
	return get(s, s.users, name)
}
func (s *shelf) AddSession(_ context.Context, x store.Session) error {
	s.sessions[string(x.Hash)] = x
	return nil
}
func (s *shelf) Session(_ context.Context, hash []byte) (store.Session, error) {
	return get(s, s.sessions, string(hash))
}
func (s *shelf) EndSession(_ context.Context, hash []byte) error {
	delete(s.sessions, string(hash))
	return nil
}
func (s *shelf) PruneSessions(context.Context, time.Time, time.Time) error { return nil }
func (s *shelf) AddToken(_ context.Context, t store.Token) error {
	s.tokens[t.ID] = t
	return nil
}
func (s *shelf) Token(_ context.Context, id string) (store.Token, error) { return get(s, s.tokens, id) }
func (s *shelf) Tokens(context.Context) ([]store.Token, error)           { return nil, nil }
func (s *shelf) RevokeToken(context.Context, string, time.Time) (bool, error) {
	return true, nil
}
func (s *shelf) Saw(_ context.Context, sessions, tokens map[string]time.Time) error {
	if s.saw != nil {
		if err := s.saw(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for word, at := range sessions {
		hash, _ := hex.DecodeString(word)
		if x, ok := s.sessions[string(hash)]; ok {
			x.Seen = at
			s.sessions[string(hash)] = x
		}
	}
	for id, at := range tokens {
		x := s.tokens[id]
		x.Used = at
		s.tokens[id] = x
	}
	return nil
}

// known is a service that runs in the bubble, with a session.
func known(t *testing.T, via store.Via, lasts time.Duration) (*Service, *shelf, store.SignedIn) {
	t.Helper()
	book := newShelf()
	s, err := New(Config{Book: book, Local: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	in, err := s.begin(t.Context(), store.Person{Name: "ada", Role: store.Viewer, Via: via}, time.Now().Add(lasts))
	if err != nil {
		t.Fatal(err)
	}
	return s, book, in
}

func (s *Service) knows(t *testing.T, in store.SignedIn) bool {
	t.Helper()
	c, err := s.Recognise(t.Context(), store.Credentials{Session: in.Word})
	if err != nil {
		t.Fatal(err)
	}
	return c.Role == in.Role
}

func TestASessionEndsWhenItIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, in := known(t, store.ViaLocal, 24*time.Hour)
		for range 3 {
			time.Sleep(7 * time.Hour)
			if !s.knows(t, in) {
				t.Fatal("a session that is used has ended")
			}
		}
		time.Sleep(8 * time.Hour)
		if s.knows(t, in) {
			t.Error("a session counts after 8 idle hours")
		}
	})
}

func TestASessionEndsInAnyCase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, in := known(t, store.ViaLocal, 24*time.Hour)
		c, err := s.Recognise(t.Context(), store.Credentials{Session: in.Word})
		if err != nil {
			t.Fatal(err)
		}
		ctx, release := s.Hold(t.Context(), c.Hold)
		defer release()
		time.Sleep(24*time.Hour - time.Second)
		if ctx.Err() != nil { // the open stream has kept it in use
			t.Fatal("a stream ended before its session")
		}
		time.Sleep(time.Second + checkEvery)
		if ctx.Err() == nil || s.knows(t, in) {
			t.Error("a session or its stream outlives 24 hours")
		}
	})
}

// Who is seen while it is being written who was seen is written the next time.
func TestNobodySeenMeanwhileIsForgotten(t *testing.T) {
	s, book, in := known(t, store.ViaLocal, time.Hour)
	hash, _ := hashWord(in.Word)
	begun := book.sessions[string(hash)].Seen
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 100 {
				_, _ = s.Recognise(t.Context(), store.Credentials{Session: in.Word})
			}
		})
		all.Go(func() {
			for range 100 {
				s.write(t.Context())
			}
		})
	}
	all.Wait()
	s.write(t.Context())
	if x, err := book.Session(t.Context(), hash); err != nil || !x.Seen.After(begun) {
		t.Errorf("a session that is used was last seen at %s, begun at %s (%v)", x.Seen, begun, err)
	}
}

// A session that is in use lasts, although it cannot be written that it is, or that takes its time.
func TestAnUnwrittenUseCounts(t *testing.T) {
	for name, saw := range map[string]func() error{
		"a disk that fails": func() error { return store.ErrUnavailable },
		"a slow disk":       func() error { time.Sleep(writeTime); return store.ErrUnavailable },
	} {
		synctest.Test(t, func(t *testing.T) {
			s, book, in := known(t, store.ViaLocal, time.Hour)
			s.cfg.Idle, book.saw = time.Minute, saw
			for i := range 100 {
				time.Sleep(10 * time.Second)
				if !s.knows(t, in) {
					t.Fatalf("%s: a session that is used has ended after %d s", name, 10*(i+1))
				}
			}
			book.saw = nil
			s.write(t.Context())
			if len(s.seen) != 0 {
				t.Errorf("%s: what is written is kept: %v", name, s.seen)
			}
		})
	}
}

func TestAWallStaysSignedIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, in := known(t, store.ViaWall, wallMax)
		time.Sleep(20 * 24 * time.Hour)
		if !s.knows(t, in) {
			t.Error("a wall was signed out")
		}
	})
}

func TestWhatCannotBeReadEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, book, in := known(t, store.ViaLocal, time.Hour)
		c, err := s.Recognise(t.Context(), store.Credentials{Session: in.Word})
		if err != nil {
			t.Fatal(err)
		}
		ctx, release := s.Hold(t.Context(), c.Hold)
		book.mu.Lock()
		book.broken = store.ErrUnavailable
		book.mu.Unlock()
		time.Sleep(10 * checkEvery)
		if ctx.Err() != nil {
			t.Error("a disk that fails has signed everybody out")
		}
		if _, err := s.Recognise(t.Context(), store.Credentials{Session: in.Word}); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("a disk that fails: %v", err)
		}
		release()
		if len(s.held) != 0 {
			t.Error("what was released is held")
		}
	})
}

func TestWhatAProxySaidIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := known(t, store.ViaLocal, time.Hour)
		ctx, release := s.Hold(t.Context(), proxyHold)
		defer release()
		time.Sleep(proxyTime - time.Second)
		if ctx.Err() != nil {
			t.Error("too early")
		}
		time.Sleep(2 * time.Second)
		if ctx.Err() == nil {
			t.Error("too late")
		}
	})
}

// A name that is unknown takes as long as one that is known, give or take what a busy machine does.
func TestUnknownNamesTakeAsLong(t *testing.T) {
	hash, err := HashPassword("correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	book := newShelf()
	book.users["ada"] = store.User{Name: "ada", Role: store.Viewer, Hash: hash}
	s, err := New(Config{Book: book, Local: true})
	if err != nil {
		t.Fatal(err)
	}
	took := map[string]time.Duration{}
	for i, name := range []string{"ada", "nobody", "no such name", "ada", "nobody", "no such name", "ada", "nobody", "no such name"} {
		begun := time.Now()
		if _, err := s.SignIn(t.Context(), netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), name, "wrong"); !errors.Is(err, store.ErrForbidden) {
			t.Fatal(name, err)
		}
		if d := time.Since(begun); took[name] == 0 || d < took[name] {
			took[name] = d
		}
	}
	for name, d := range took {
		if d < took["ada"]/3 || d > 3*took["ada"] {
			t.Errorf("%s takes %s, one that is known %s", name, d, took["ada"])
		}
	}
}

// What is granted, and which ways to sign in are on, can differ after a restart; sessions that are open then follow.
func TestASessionFollowsWhatIsGrantedNow(t *testing.T) {
	admins := Grants{"platform-team": store.Admin, "ops": store.Operator}
	for name, c := range map[string]struct {
		via    store.Via
		groups []string
		change func(*Config)
		want   store.Role
	}{
		"the same grants":            {store.ViaOIDC, []string{"platform-team"}, func(*Config) {}, store.Admin},
		"a group lost its role":      {store.ViaOIDC, []string{"platform-team"}, func(c *Config) { c.OIDC.Grants = Grants{"ops": store.Operator} }, store.Nobody},
		"a lesser group is left":     {store.ViaOIDC, []string{"platform-team", "ops"}, func(c *Config) { c.OIDC.Grants = Grants{"ops": store.Operator} }, store.Operator},
		"a group has more":           {store.ViaOIDC, []string{"ops"}, func(c *Config) { c.OIDC.Grants = Grants{"ops": store.Admin} }, store.Admin},
		"everybody may look":         {store.ViaOIDC, []string{"platform-team"}, func(c *Config) { c.OIDC.Grants, c.AnonymousView = Grants{"ops": store.Operator}, true }, store.Viewer},
		"the provider is off":        {store.ViaOIDC, []string{"platform-team"}, func(c *Config) { c.OIDC = nil }, store.Nobody},
		"users with a password":      {store.ViaLocal, nil, func(*Config) {}, store.Admin},
		"the board's users are off":  {store.ViaLocal, nil, func(c *Config) { c.Local = false }, store.Nobody},
		"a wall rests on its token":  {store.ViaWall, nil, func(c *Config) { c.Local = false }, store.Admin},
		"a way that there never was": {"other", nil, func(*Config) {}, store.Nobody},
	} {
		t.Run(name, func(t *testing.T) {
			book := newShelf()
			conf := Config{Book: book, Local: true, Log: slog.New(slog.DiscardHandler),
				OIDC: &OIDC{Issuer: "https://id.example.com", ClientID: "board", RedirectURL: "https://board.example.com/signin/callback", Grants: admins}}
			before, err := New(conf)
			if err != nil {
				t.Fatal(err)
			}
			in, err := before.begin(t.Context(), store.Person{Name: "ada", Groups: c.groups, Role: store.Admin, Via: c.via}, time.Now().Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			c.change(&conf)
			after, err := New(conf)
			if err != nil {
				t.Fatal(err)
			}
			who, err := after.Recognise(t.Context(), store.Credentials{Session: in.Word})
			if err != nil || who.Role != c.want {
				t.Errorf("role %s (%v), want %s", who.Role, err, c.want)
			}
			hash, _ := hashWord(in.Word)
			if still := after.still(t.Context(), sessionHold+hex.EncodeToString(hash)); (still == nil) != (who.Hold != "") {
				t.Errorf("its streams: %v, its caller rests on %q", still, who.Hold)
			}
		})
	}
}
