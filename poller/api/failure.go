package api

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"trackside/store"
)

// Failure is a call that failed, after its retries.
type Failure struct {
	// Call is what was asked, as "GET https://…".
	Call string
	Err  error
}

// Error names the call and what came of it.
func (f *Failure) Error() string { return f.Call + ": " + f.What() }

// Unwrap returns the error of the last attempt.
func (f *Failure) Unwrap() error { return f.Err }

// What is the status, or the type of the error, in words; never blank.
func (f *Failure) What() string { return store.Clean(store.ErrorText(plain(f.Err)), 200) }

// Status is the HTTP status that was answered; 0 when there was none, or another trouble.
func (f *Failure) Status() int {
	if s, ok := errors.AsType[*status](f.Err); ok {
		return s.code
	}
	return 0
}

// Problem says in sentences what is wrong with a source and what to do: name is what it is called, such as "Kubiya API", key the flag
// that names its credential, and pace the flag of its interval.
func (f *Failure) Problem(name, key, pace string) string {
	var k *keyError
	what := f.What()
	switch code := f.Status(); {
	case errors.As(f.Err, &k):
		return fmt.Sprintf("The %s is not asked: %s. Check %s.", name, what, key)
	case code == http.StatusUnauthorized:
		return fmt.Sprintf("The %s refuses our credential: %s (%s). Check the file that %s names.", name, what, f.Call, key)
	case code == http.StatusForbidden:
		return fmt.Sprintf("The %s does not let us ask: %s (%s). Check what the credential in %s may do.", name, what, f.Call, key)
	case code == http.StatusTooManyRequests:
		return fmt.Sprintf("The %s says that we ask too often: %s (%s). Raise %s.", name, what, f.Call, pace)
	case code == http.StatusNotFound:
		return fmt.Sprintf("The %s does not know what it is asked for: %s (%s). Check its address.", name, what, f.Call)
	case errors.Is(f.Err, errHTML):
		return fmt.Sprintf("The %s answers with HTML instead of JSON (%s): a proxy or a sign-in page may stand before it, or its address is wrong.", name, f.Call)
	}
	return fmt.Sprintf("The %s fails: %s (%s).", name, what, f.Call)
}

// plain words the errors of the network that people meet.
func plain(err error) error {
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("connection refused")
	case errors.Is(err, syscall.ECONNRESET):
		return errors.New("connection reset")
	case errors.As(err, &dns) && dns.IsNotFound:
		return errors.New("no such host as " + dns.Name)
	case errors.As(err, &cert):
		return errors.New("its certificate is not trusted: " + store.ErrorText(cert.Err))
	}
	return err
}

var (
	errHTML    = errors.New("HTML instead of JSON")
	errCutOff  = errors.New("the JSON breaks off before its end")
	errTooLong = fmt.Errorf("the answer is longer than %d MiB", MaxAnswer>>20)
)

// slow is an attempt that ran out of its time.
type slow struct{ limit time.Duration }

func (s *slow) Error() string {
	return "no answer within " + strconv.FormatFloat(s.limit.Seconds(), 'g', 3, 64) + " s"
}

// status is an answer that is not 200.
type status struct {
	code int
	said string
}

func (s *status) Error() string {
	text := strconv.Itoa(s.code)
	if name := http.StatusText(s.code); name != "" {
		text += " " + name
	}
	if s.said != "" {
		text += ": " + s.said
	}
	return text
}

// unfit is an answer of JSON that is not what was asked for.
type unfit struct{ why string }

func (u *unfit) Error() string { return "not what was expected: " + u.why }

// Unfit makes the error of an answer that is not what was asked for; why completes "not what was expected: …".
func Unfit(why string) error { return &unfit{why} }

// keyError is a credential that cannot be read.
type keyError struct{ why string }

func (k *keyError) Error() string { return k.why }
