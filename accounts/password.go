package accounts

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"trackside/store"
)

// argon are the parameters of argon2id. Those of new passwords are OWASP's first recommendation for 2025: 19 MiB, two passes, one lane
// (Password Storage Cheat Sheet).
type argon struct {
	memory, passes uint32
	lanes          uint8
	salt, key      []byte
}

const (
	argonMemory = 19 << 10 // KiB
	argonPasses = 2
	argonLanes  = 1
	saltBytes   = 16
	keyBytes    = 32
)

// The bounds of a password, in bytes: NIST asks for 8 characters at least, and a board that acts on clusters for more.
const (
	MinPassword = 12
	MaxPassword = 1024
)

// HashPassword is the PHC string of a password; store.ErrInvalid for one that is too short or too long.
func HashPassword(password string) (string, error) {
	if len(password) < MinPassword || len(password) > MaxPassword {
		return "", fmt.Errorf("%w: a password has %d to %d bytes; a sentence is easy to remember", store.ErrInvalid, MinPassword, MaxPassword)
	}
	a := argon{memory: argonMemory, passes: argonPasses, lanes: argonLanes, salt: random(saltBytes)}
	a.key = a.derive(password, keyBytes)
	return a.String(), nil
}

func (a argon) derive(password string, n uint32) []byte {
	return argon2.IDKey([]byte(password), a.salt, a.passes, a.memory, a.lanes, n)
}

// String is the PHC string.
func (a argon) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, a.memory, a.passes, a.lanes, b64.EncodeToString(a.salt), b64.EncodeToString(a.key))
}

// fits reports whether the password is the one, in a time that does not tell how much of it is.
func (a argon) fits(password string) bool {
	if len(a.key) == 0 {
		return false
	}
	return subtle.ConstantTimeCompare(a.derive(password, uint32(len(a.key))), a.key) == 1
}

// parsePHC reads a PHC string of argon2id. Parameters beyond what a sign-in can bear are store.ErrInvalid: 256 MiB, 16 passes, 16 lanes.
func parsePHC(s string) (a argon, err error) {
	bad := func(what string) (argon, error) {
		return argon{}, fmt.Errorf("%w: the password's hash cannot be read: %s", store.ErrInvalid, what)
	}
	parts := strings.Split(s, "$")
	if len(s) > 512 || len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return bad("it is no PHC string of argon2id")
	}
	if parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return bad("its version is another one")
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &a.memory, &a.passes, &a.lanes); n != 3 || err != nil || fmt.Sprintf("m=%d,t=%d,p=%d", a.memory, a.passes, a.lanes) != parts[3] {
		return bad("its parameters are not m, t and p")
	}
	if a.lanes < 1 || a.lanes > 16 || a.passes < 1 || a.passes > 16 || a.memory < 8*uint32(a.lanes) || a.memory > 256<<10 {
		return bad("its parameters are out of bounds")
	}
	b64 := base64.RawStdEncoding.Strict()
	salt, err1 := b64.DecodeString(parts[4])
	key, err2 := b64.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(salt) > 64 || len(key) < 16 || len(key) > 64 {
		return bad("its salt or key is no base64 of a fitting length")
	}
	if a.salt, a.key = salt, key; a.String() != s { // line breaks are skipped in decoding
		return bad("it is written in an unusual way")
	}
	return a, nil
}
