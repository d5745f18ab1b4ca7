package systems

import (
	"errors"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"

	"trackside/store"
)

func TestParseQuantity(t *testing.T) {
	for s, want := range map[string]string{"250m": "250m", "2": "2", "512Mi": "512Mi", "1.5": "1500m", "1e3": "1e3", "-1": "-1", ".5": "500m", "1E-2": "10m", "7E": "7E"} {
		q, err := ParseQuantity(s)
		if w := resource.MustParse(want); err != nil || q.Cmp(w) != 0 {
			t.Errorf("%q is %s, %v", s, q.String(), err)
		}
	}
	// The exponents are Kubernetes' to read, and it would never end.
	for _, s := range []string{"", "-", ".", "lots", "1e", "1e-2147483647", "1e2147483647", "1e999", "1 ", "1\n", "1mi", "123456789012345678901", "0x10", "Inf"} {
		if q, err := ParseQuantity(s); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q is %s, %v", s, q.String(), err)
		}
	}
}

// Any text is an amount that can be compared and written, or refused; none of it keeps the board busy.
func FuzzParseQuantity(f *testing.F) {
	for _, s := range []string{"250m", "512Mi", "1e-2147483647", "9e99", "-1E-99", "9223372036854775807", "-9223372036854775808", "-0.5", "0.00000000001", "99999999999999999999.99999999999999999999Ei"} {
		f.Add(s)
	}
	one := resource.MustParse("1")
	f.Fuzz(func(t *testing.T, s string) {
		q, err := ParseQuantity(s)
		if err != nil {
			if !errors.Is(err, store.ErrInvalid) {
				t.Error(err)
			}
			return
		}
		if q.Sign() > 0 && (Milli(q) <= 0 || Whole(q) <= 0 || Milli(q) < Whole(q)) {
			t.Errorf("%q is %d, and %d thousandths", s, Whole(q), Milli(q))
		}
		q.Cmp(one)
		if _, err := resource.ParseQuantity(q.String()); err != nil {
			t.Errorf("%q is written as %q", s, q.String())
		}
	})
}
