package store

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// A tree is compared with a map after each of many random changes, and so is every tree it was made of: none may change.
func TestTreeIsAPersistentMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	type version struct {
		tree tree[int, int]
		want map[int]int
	}
	var old []version
	now, want := tree[int, int]{}, map[int]int{}
	for i := range 2_000 {
		k := rng.IntN(200)
		if rng.IntN(3) == 0 {
			now = now.del(cmp.Compare, k)
			delete(want, k)
		} else {
			now = now.put(cmp.Compare, k, i)
			want[k] = i
		}
		if v, ok := now.get(cmp.Compare, k); v != want[k] || ok != has(want, k) {
			t.Fatalf("step %d: get(%d) = %d, %v", i, k, v, ok)
		}
		if i%50 == 0 {
			old = append(old, version{now, maps.Clone(want)})
		}
	}
	for _, v := range append(old, version{now, want}) {
		compareTree(t, v.tree, v.want)
	}
}

func has(m map[int]int, k int) bool { _, ok := m[k]; return ok }

func compareTree(t *testing.T, got tree[int, int], want map[int]int) {
	t.Helper()
	if got.size != len(want) {
		t.Fatalf("size %d, want %d", got.size, len(want))
	}
	keys := slices.Sorted(maps.Keys(want))
	i := 0
	for k, v := range got.all() {
		if i >= len(keys) || k != keys[i] || v != want[k] {
			t.Fatalf("entry %d is %d=%d, want the keys %v", i, k, v, keys)
		}
		i++
	}
	if i != len(keys) {
		t.Fatalf("walked %d entries, want %d", i, len(keys))
	}
}

func TestTreeWalkEndsWhenAsked(t *testing.T) {
	var tr tree[int, int]
	for k := range 100 {
		tr = tr.put(cmp.Compare, k, k)
	}
	n := 0
	for range tr.all() {
		if n++; n == 7 {
			break
		}
	}
	if n != 7 {
		t.Errorf("walked %d entries", n)
	}
}

// Keys that arrive in order would make a list of a plain tree; here the depth stays in the order of the logarithm.
func TestTreeStaysShallow(t *testing.T) {
	var tr tree[int, int]
	for k := range 4096 {
		tr = tr.put(cmp.Compare, k, k)
	}
	if d := depth(tr.root); d > 60 {
		t.Errorf("depth %d with 4096 keys", d)
	}
}

func depth[K, V any](n *node[K, V]) int {
	if n == nil {
		return 0
	}
	return 1 + max(depth(n.left), depth(n.right))
}

func TestTreeOfDeletedKeyIsTheSame(t *testing.T) {
	tr := tree[int, int]{}.put(cmp.Compare, 1, 1)
	if got := tr.del(cmp.Compare, 2); got != tr {
		t.Error("deleting a key that is not there makes another tree")
	}
}
