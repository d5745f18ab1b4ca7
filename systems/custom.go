package systems

import (
	"math"
	"strconv"
	"time"
)

// dig is the value at a path in what JSON decodes; nil where there is none.
func dig(v any, path ...string) any {
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// number reads a whole number that JSON or a person wrote, whatever Go made of it.
func number(v any) (int64, bool) {
	switch n := v.(type) {
	case int64:
		return n, true
	case float64:
		return int64(n), n == math.Trunc(n) && math.Abs(n) < 1<<53
	case string:
		i, err := strconv.ParseInt(n, 10, 64)
		return i, err == nil
	}
	return 0, false
}

// statusCondition is one of a custom object's status.conditions.
type statusCondition struct {
	kind, status, reason, message string
	since                         time.Time
}

// conditionsOf reads a custom object's status.conditions by type. What is no condition is left out.
func conditionsOf(o Object) map[string]statusCondition {
	list, _ := dig(o.Custom, "status", "conditions").([]any)
	out := make(map[string]statusCondition, len(list))
	for _, item := range list {
		if c := conditionOf(item); c.kind != "" {
			out[c.kind] = c
		}
	}
	return out
}

func conditionOf(item any) statusCondition {
	return statusCondition{kind: textAt(item, "type"), status: textAt(item, "status"), reason: textAt(item, "reason"), message: textAt(item, "message"),
		since: timeAt(item, "lastTransitionTime")}
}

// textAt is the text at a path, blank where there is none.
func textAt(v any, path ...string) string {
	s, _ := dig(v, path...).(string)
	return s
}

// timeAt is the RFC 3339 time at a path, zero where there is none.
func timeAt(v any, path ...string) time.Time {
	t, err := time.Parse(time.RFC3339, textAt(v, path...))
	if err != nil {
		return time.Time{}
	}
	return t
}
