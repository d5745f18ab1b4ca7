package store

import (
	"iter"
	"math/rand/v2"
)

// tree is a persistent ordered map (a treap with path copying): put and del return a new tree that shares all but
// O(log n) nodes with the old one, so that a change to one runner costs what it touched and readers keep theirs.
// The zero value is an empty tree.
type tree[K, V any] struct {
	root *node[K, V]
	size int
}

type node[K, V any] struct {
	key         K
	val         V
	prio        uint64
	left, right *node[K, V]
}

type order[K any] func(a, b K) int

func (t tree[K, V]) get(ord order[K], k K) (v V, ok bool) {
	for n := t.root; n != nil; {
		switch c := ord(k, n.key); {
		case c < 0:
			n = n.left
		case c > 0:
			n = n.right
		default:
			return n.val, true
		}
	}
	return v, false
}

func (t tree[K, V]) put(ord order[K], k K, v V) tree[K, V] {
	if _, ok := t.get(ord, k); ok {
		return tree[K, V]{replace(ord, t.root, k, v), t.size}
	}
	l, r := split(ord, t.root, k)
	n := &node[K, V]{key: k, val: v, prio: rand.Uint64()}
	return tree[K, V]{merge(merge(l, n), r), t.size + 1}
}

func (t tree[K, V]) del(ord order[K], k K) tree[K, V] {
	if _, ok := t.get(ord, k); !ok {
		return t
	}
	return tree[K, V]{remove(ord, t.root, k), t.size - 1}
}

// all walks the tree in order.
func (t tree[K, V]) all() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { walk(t.root, yield) }
}

func walk[K, V any](n *node[K, V], yield func(K, V) bool) bool {
	return n == nil || walk(n.left, yield) && yield(n.key, n.val) && walk(n.right, yield)
}

func replace[K, V any](ord order[K], n *node[K, V], k K, v V) *node[K, V] {
	c := *n
	switch o := ord(k, n.key); {
	case o < 0:
		c.left = replace(ord, n.left, k, v)
	case o > 0:
		c.right = replace(ord, n.right, k, v)
	default:
		c.val = v
	}
	return &c
}

func remove[K, V any](ord order[K], n *node[K, V], k K) *node[K, V] {
	o := ord(k, n.key)
	if o == 0 {
		return merge(n.left, n.right)
	}
	c := *n
	if o < 0 {
		c.left = remove(ord, n.left, k)
	} else {
		c.right = remove(ord, n.right, k)
	}
	return &c
}

// split parts a tree into the keys below k and those above it; k itself is not in it.
func split[K, V any](ord order[K], n *node[K, V], k K) (l, r *node[K, V]) {
	if n == nil {
		return nil, nil
	}
	c := *n
	if ord(n.key, k) < 0 {
		c.right, r = split(ord, n.right, k)
		return &c, r
	}
	l, c.left = split(ord, n.left, k)
	return l, &c
}

// merge joins two trees, every key of l being below every key of r.
func merge[K, V any](l, r *node[K, V]) *node[K, V] {
	if l == nil {
		return r
	}
	if r == nil {
		return l
	}
	if l.prio > r.prio {
		c := *l
		c.right = merge(l.right, r)
		return &c
	}
	c := *r
	c.left = merge(l, r.left)
	return &c
}
