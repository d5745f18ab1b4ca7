package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"trackside/store"
	"trackside/systems"
)

// askFunc is an asker made of a function.
type askFunc func(ctx context.Context, pod podAddress) answer

func (f askFunc) ask(ctx context.Context, pod podAddress, _ systems.Probe) answer { return f(ctx, pod) }

// rounds is a prober at work in a synctest bubble, and what it asked.
type rounds struct {
	*prober
	stop context.CancelFunc
	done chan struct{}

	mu      sync.Mutex
	asked   []time.Time
	pods    []string
	changes int
	status  int
}

func probing(t *testing.T, limit int, ask askFunc) *rounds {
	t.Helper()
	r := &rounds{done: make(chan struct{}), status: 200}
	if ask == nil {
		ask = func(_ context.Context, pod podAddress) answer {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.asked, r.pods = append(r.asked, time.Now()), append(r.pods, pod.name)
			return answer{url: "http://" + pod.ip, status: r.status}
		}
	}
	p, err := newProber(Config{Probes: ProbeOff, ProbeLimit: limit}, nil, func(...store.Ref) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.changes++
	})
	if err != nil {
		t.Fatal(err)
	}
	p.ask = ask
	r.prober = p
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	go func() { p.run(ctx); close(r.done) }()
	return r
}

func (r *rounds) end() { r.stop(); <-r.done }

// answers makes pods answer with that status from now on.
func (r *rounds) answers(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *rounds) seen() (times []time.Time, pods []string, changes int) {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]time.Time(nil), r.asked...), append([]string(nil), r.pods...), r.changes
}

var health = systems.Probe{Path: "/health", Port: 8080}

func refTo(name string) store.Ref { return store.Ref{Cluster: "c", System: "labelled", Name: name} }

func podsNamed(names ...string) (out []*corev1.Pod) {
	for _, n := range names {
		p := &corev1.Pod{}
		p.Name, p.Namespace, p.UID, p.Status.PodIP = n, "ns", types.UID("uid-"+n), "10.0.0."+n
		out = append(out, p)
	}
	return out
}

func TestPodsThatAnswerTakeTurnsAtAnEasyPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := probing(t, 0, nil)
		defer r.end()
		if p := r.of(refTo("a"), "main", health, podsNamed("1", "2")); p != (store.Probe{}) {
			t.Errorf("a result before the first answer: %+v", p)
		}
		<-time.After(time.Minute)
		times, pods, changes := r.seen()
		if len(times) < 5 || len(times) > 9 {
			t.Errorf("asked %d times in a minute", len(times))
		}
		for i, p := range pods {
			if want := fmt.Sprint(1 + i%2); p != want {
				t.Errorf("turn %d is pod %s's", i, p)
			}
		}
		if changes != 1 {
			t.Errorf("%d changes: that all goes on well is no news", changes)
		}
		if p := r.of(refTo("a"), "main", health, podsNamed("1", "2")); p.Status != 200 || p.Problem != "" {
			t.Errorf("result %+v", p)
		}
	})
}

func TestAFailureBacksOffAndTheThirdIsTheVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := probing(t, 0, nil)
		defer r.end()
		r.answers(503)
		r.of(refTo("a"), "main", health, podsNamed("1"))
		want := []time.Duration{1, 2, 4, 8, 16, 20, 20, 20}
		<-time.After(91 * time.Second)
		times, _, changes := r.seen()
		if len(times) != len(want)+1 {
			t.Fatalf("asked %d times", len(times))
		}
		for i, d := range want {
			if got := times[i+1].Sub(times[i]); got != d*time.Second {
				t.Errorf("pause %d is %s, want %d s", i, got, d)
			}
		}
		if n := r.failures(refTo("a"), "main"); n != 9 || changes != 2 {
			t.Errorf("%d failures, %d changes; want the first and the third to be news", n, changes)
		}
		r.answers(200)
		<-time.After(time.Minute)
		if _, _, now := r.seen(); now != changes+1 || r.failures(refTo("a"), "main") != 0 {
			t.Errorf("the recovery: %d changes, %d failures", now-changes, r.failures(refTo("a"), "main"))
		}
	})
}

func TestNewPodsAreAskedAtOnceAlthoughTheOldOnesFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := probing(t, 0, nil)
		defer r.end()
		r.answers(503)
		r.of(refTo("a"), "main", health, podsNamed("1"))
		<-time.After(70 * time.Second) // by now it is asked every 20 s
		r.answers(200)
		before, _, _ := r.seen()
		r.of(refTo("a"), "main", health, podsNamed("1"))
		if times, _, _ := r.seen(); len(times) != len(before) {
			t.Error("asked at once although nothing has changed")
		}
		r.of(refTo("a"), "main", health, podsNamed("2"))
		if times, pods, _ := r.seen(); len(times) != len(before)+1 || pods[len(pods)-1] != "2" {
			t.Errorf("asked %d times, last %v", len(times)-len(before), pods)
		}
	})
}

// The probe of a pod may be under way when it is replaced; its failure is neither the new pod's nor sets that one's pace.
func TestWhatAPodThatIsGoneSaysIsNotLearnt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := probing(t, 0, func(_ context.Context, pod podAddress) answer {
			if pod.name == "1" {
				<-time.After(time.Second)
				return answer{status: 503}
			}
			return answer{status: 200}
		})
		defer r.end()
		r.of(refTo("a"), "main", health, podsNamed("1"))
		<-time.After(36*time.Second + time.Second/2) // its sixth probe is under way, and the next would be 20 s later
		if n := r.failures(refTo("a"), "main"); n != 5 {
			t.Fatalf("%d failures", n)
		}
		r.of(refTo("a"), "main", health, podsNamed("2"))
		<-time.After(time.Second)
		synctest.Wait()
		if p := r.of(refTo("a"), "main", health, podsNamed("2")); p.Status != 200 || p.Problem != "" || r.failures(refTo("a"), "main") != 0 {
			t.Errorf("the new pod's answer is %+v, with %d failures", p, r.failures(refTo("a"), "main"))
		}
	})
}

// A pod has its own time to start: that the one before it had answered says nothing of it.
func TestOnlyAPresentPodHasAnswered(t *testing.T) {
	for _, c := range []struct {
		name string
		then [][]*corev1.Pod
		want bool
	}{
		{"the same pod", [][]*corev1.Pod{podsNamed("1")}, true},
		{"another beside it", [][]*corev1.Pod{podsNamed("1", "2")}, true},
		{"another in its place", [][]*corev1.Pod{podsNamed("2")}, false},
		{"another after a while", [][]*corev1.Pod{podsNamed(), podsNamed("2")}, false},
		{"another that was beside it", [][]*corev1.Pod{podsNamed("1", "2"), podsNamed("2")}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := probing(t, 0, func(_ context.Context, pod podAddress) answer {
					if pod.name == "1" {
						return answer{url: "http://1", status: 200}
					}
					return answer{url: "http://2", status: 503}
				})
				defer r.end()
				r.of(refTo("a"), "main", health, podsNamed("1"))
				for _, pods := range c.then {
					<-time.After(30 * time.Second)
					r.of(refTo("a"), "main", health, pods)
				}
				<-time.After(5 * time.Second)
				synctest.Wait()
				if got := r.answered(refTo("a"), "main"); got != c.want {
					t.Errorf("answered %t, want %t", got, c.want)
				}
			})
		})
	}
}

// When one of the pods that fail goes, those that are left fail still, and one that answers is not all of them.
func TestAPodThatGoesIsNoRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := probing(t, 0, nil)
		defer r.end()
		r.answers(503)
		r.of(refTo("a"), "main", health, podsNamed("1", "2"))
		<-time.After(40 * time.Second)
		r.answers(200)
		gone := "1"
		if r.targets[targetKey{refTo("a"), "main"}].resultOf == "uid-2" {
			gone = "2"
		}
		left := podsNamed("1", "2", "3")
		left = slices.DeleteFunc(left, func(p *corev1.Pod) bool { return p.Name == gone })
		if p := r.of(refTo("a"), "main", health, left); p.Problem == "" || r.failures(refTo("a"), "main") == 0 {
			t.Errorf("the one that is left seems well: %+v", p)
		}
		<-time.After(lastRetry + 2*firstRetry)
		synctest.Wait()
		if p := r.of(refTo("a"), "main", health, left); p.Status != 200 || p.Problem != "" || r.failures(refTo("a"), "main") != 0 {
			t.Errorf("they answer, and the result is %+v", p)
		}
	})
}

// A pod that takes the name of the one before, as a StatefulSet's does, has an answer and failures of its own.
func TestAPodOfTheSameNameIsAskedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := probing(t, 0, nil)
		defer r.end()
		pod := podsNamed("1")
		r.answers(503)
		r.of(refTo("a"), "main", health, pod)
		<-time.After(70 * time.Second)
		next := podsNamed("1")
		next[0].UID = "another"
		if p := r.of(refTo("a"), "main", health, next); p != (store.Probe{}) {
			t.Errorf("the answer of the pod before stands: %+v", p)
		}
		r.seen()
		r.answers(200)
		<-time.After(2 * time.Second) // it failed once, which is one failure
		synctest.Wait()
		if p := r.of(refTo("a"), "main", health, next); p.Status != 200 {
			t.Errorf("it is asked at the pace of the one before: %+v", p)
		}
	})
}

func TestARecoveryOfOnePodHasTheOthersAskedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := probing(t, 0, nil)
		defer r.end()
		r.answers(503)
		r.of(refTo("a"), "main", health, podsNamed("1", "2", "3"))
		<-time.After(2 * time.Minute)
		r.answers(200)
		<-time.After(lastRetry + 2*firstRetry)
		synctest.Wait()
		if n := r.failures(refTo("a"), "main"); n != 0 {
			t.Errorf("%d failures", n)
		}
	})
}

func TestNoMoreProbesThanTheLimitAreUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		under, most, total := 0, 0, 0
		r := probing(t, 4, func(ctx context.Context, _ podAddress) answer {
			mu.Lock()
			under, total = under+1, total+1
			most = max(most, under)
			mu.Unlock()
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			mu.Lock()
			under--
			mu.Unlock()
			return answer{status: 200}
		})
		for i := range 50 {
			r.of(refTo(fmt.Sprint(i)), "main", health, podsNamed("1"))
		}
		<-time.After(14 * time.Second)
		mu.Lock()
		if most != 4 || total < 50 {
			t.Errorf("%d at once, %d in all", most, total)
		}
		mu.Unlock()
		r.end() // and waits for those under way
		if under != 0 {
			t.Errorf("%d are left", under)
		}
	})
}

func TestNothingIsAskedAfterForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := probing(t, 0, nil)
		defer r.end()
		for _, c := range []string{"x", "y"} {
			r.of(refTo("a"), c, health, podsNamed("1"))
			r.of(refTo("b"), c, health, podsNamed("2"))
		}
		r.seen()
		r.forget(refTo("a"))
		r.drop(refTo("b"), "x")
		before, _, _ := r.seen()
		<-time.After(time.Minute)
		times, pods, _ := r.seen()
		for _, p := range pods[len(before):] {
			if p != "2" {
				t.Errorf("pod %s is asked after it was forgotten", p)
			}
		}
		if n := len(times) - len(before); n < 4 || n > 9 {
			t.Errorf("%d probes in a minute, want those of one component", n)
		}
	})
}

func TestForgettingWhileAProbeIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		r := probing(t, 0, func(context.Context, podAddress) answer {
			asked++
			<-time.After(time.Second)
			return answer{status: 503}
		})
		defer r.end()
		r.of(refTo("a"), "main", health, podsNamed("1"))
		synctest.Wait()
		r.forget(refTo("a"))
		<-time.After(5 * time.Minute)
		if asked != 1 || len(r.queue) != 0 {
			t.Errorf("asked %d times, %d in the queue", asked, len(r.queue))
		}
	})
}

func TestNothingIsLearntWhileTheWayIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := probing(t, 0, nil)
		r.stop()
		<-r.done
		r.paused = func() bool { return true }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { r.run(ctx); close(done) }()
		r.of(refTo("a"), "main", health, podsNamed("1"))
		<-time.After(time.Minute)
		if times, _, changes := r.seen(); len(times) != 0 || changes != 0 {
			t.Errorf("asked %d times", len(times))
		}
		cancel()
		<-done
	})
}

// What goes wrong on the way through the API server is no failure of the pod, which may well be healthy.
func TestAFailureOnTheWayIsNotThePods(t *testing.T) {
	closed := errors.New("the API server does not answer")
	for _, c := range []struct {
		name   string
		answer answer
		way    error
		want   bool
	}{
		{"the API server refuses the connection", answer{kind: "connection refused", onWay: true}, nil, false},
		{"no answer, and the API server gives none either", answer{kind: noAnswer, onWay: true}, closed, false},
		{"no answer, but the API server is there", answer{kind: noAnswer, onWay: true}, nil, true},
		{"the pod's own answer", answer{status: 500}, closed, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := probing(t, 1, func(context.Context, podAddress) answer { return c.answer })
				defer r.end()
				r.way = func(context.Context) error { return c.way }
				r.of(refTo("a"), "main", systems.Probe{Path: "/", Port: 1}, podsNamed("p"))
				<-time.After(30 * time.Second)
				if got := r.failures(refTo("a"), "main") > 0; got != c.want {
					t.Errorf("counted as a failure of the pod: %t, want %t", got, c.want)
				}
			})
		})
	}
}

func TestADeniedProbeIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var denied []string
		r := probing(t, 0, func(context.Context, podAddress) answer { return answer{status: 403, denied: true} })
		r.denied = func(ns string) { denied = append(denied, ns) }
		r.of(refTo("a"), "main", health, podsNamed("1"))
		<-time.After(30 * time.Second)
		r.end()
		if len(denied) != 1 || denied[0] != "ns" || r.failures(refTo("a"), "main") != 0 {
			t.Errorf("denied %v, %d failures", denied, r.failures(refTo("a"), "main"))
		}
	})
}

func TestJitterIsAFifth(t *testing.T) {
	for range 1_000 {
		if d := jitter(10 * time.Second); d < 8*time.Second || d > 12*time.Second {
			t.Fatalf("%s", d)
		}
	}
}
