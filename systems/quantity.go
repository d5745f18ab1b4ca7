package systems

import (
	"fmt"
	"math"
	"regexp"

	"k8s.io/apimachinery/pkg/api/resource"

	"trackside/store"
)

// quantityText is an amount as anybody writes one. Kubernetes' own parser takes any exponent, and one of ten digits keeps it busy for ever:
// 1e-2147483647 is divided by ten that often.
var quantityText = regexp.MustCompile(`^[+-]?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][+-]?[0-9]{1,2}|[numkMGTPE]|[KMGTPE]i)?$`)

// maxMilli is the most that can be counted in thousandths.
const maxMilli = math.MaxInt64 / 1000

// Milli is an amount in thousandths, rounded up. One beyond what can be counted is the most that can: Kubernetes' own MilliValue makes it another
// number, below zero too.
func Milli(q resource.Quantity) int64 {
	switch {
	case q.CmpInt64(maxMilli) > 0:
		return math.MaxInt64
	case q.CmpInt64(-maxMilli) < 0:
		return math.MinInt64
	}
	return q.MilliValue()
}

// Whole is an amount in whole units, rounded up, within the same bounds: Kubernetes' own Value makes nothing of 9e99.
func Whole(q resource.Quantity) int64 {
	if q.CmpInt64(math.MaxInt64) >= 0 {
		return math.MaxInt64
	}
	return q.Value()
}

// ParseQuantity reads an amount of a resource that somebody wrote into an annotation or a form. What is none, or is one that nobody means, is
// store.ErrInvalid.
func ParseQuantity(s string) (resource.Quantity, error) {
	if !quantityText.MatchString(s) {
		return resource.Quantity{}, fmt.Errorf("%w: %q is not an amount such as 250m, 2 or 512Mi", store.ErrInvalid, store.Clean(s, 40))
	}
	q, err := resource.ParseQuantity(s)
	if err != nil {
		return resource.Quantity{}, fmt.Errorf("%w: %q is not an amount such as 250m, 2 or 512Mi", store.ErrInvalid, store.Clean(s, 40))
	}
	return q, nil
}
