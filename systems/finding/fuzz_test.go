package finding_test

import (
	"testing"

	"trackside/systems/finding"
)

// FuzzRead reads whatever may stand in an object's field for marks. What is a finding has its words, and stands at an object.
func FuzzRead(f *testing.F) {
	f.Add("Deployment", "x", finding.Prefix+finding.ReadinessVacuous+"\t\t\t\t")
	f.Add("Pod", "", finding.Prefix+"\n\n")
	f.Add("CronJob", "x", "no marks")
	f.Fuzz(func(t *testing.T, kind, name, marks string) {
		for _, x := range finding.Read(kind, name, marks) {
			if x.Code == "" || x.Why == "" || x.Object == "" {
				t.Errorf("%q: %+v", marks, x)
			}
		}
	})
}
