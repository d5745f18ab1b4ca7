package store_test

import (
	"errors"
	"testing"

	"trackside/store"
)

// What is Kubernetes' own is nobody's who signs in.
func TestCheckImpersonation(t *testing.T) {
	for _, c := range []struct {
		person store.Person
		fine   bool
	}{
		{store.Person{Name: "ada", Groups: []string{"ops", "my-system:ops"}}, true},
		{store.Person{Name: "token:deploy"}, true},
		{store.Person{Name: "system:admin"}, false},
		{store.Person{Name: "ada", Groups: []string{"ops", "system:masters"}}, false},
	} {
		if err := c.person.CheckImpersonation(); (err == nil) != c.fine || err != nil && !errors.Is(err, store.ErrForbidden) {
			t.Errorf("%+v: %v", c.person, err)
		}
	}
}

func TestRoles(t *testing.T) {
	for i, r := range store.Roles() {
		if back, err := store.ParseRole(r.String()); err != nil || back != r {
			t.Errorf("%s is read as %s, %v", r, back, err)
		}
		for j, need := range store.Roles() {
			if r.May(need) != (i >= j) {
				t.Errorf("%s may what %s may: %v", r, need, r.May(need))
			}
		}
	}
	if _, err := store.ParseRole("nobody"); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("nobody is a role to give: %v", err)
	}
}
