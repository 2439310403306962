package web

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"rescued/internal/fault"
)

// ErrKeyReused says that an Idempotency-Key came back with another input.
var ErrKeyReused = fault.New(fault.Unprocessable, "idempotency_key_reused",
	"This Idempotency-Key was used with another input; use a fresh key for a new request.")

// ErrStale says that the caller's version is not the present one.
var ErrStale = fault.New(fault.Stale, "version_changed",
	"It has changed since you read it; read it again and repeat the change if it still makes sense.")

// Idempotent goes into the input of every creating operation. The caller
// repeats the key when it repeats the request, and gets the same answer.
type Idempotent struct {
	Key string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"255" pattern:"^[!-~]+$" patternDescription:"1 to 255 visible ASCII characters, without spaces" doc:"A fresh random value per request, such as a UUID; the same again when you repeat it."`
}

// InputHash names an input by content: SHA-256 over its JSON, whose members
// Go writes in a fixed order. Call it with the decoded body, so that spaces
// and member order do not matter. It panics on what JSON cannot write.
func InputHash(v any) [32]byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("web.InputHash(%T): %v", v, err))
	}
	return sha256.Sum256(text)
}

// Replay goes into the output of a creating operation: Idempotency-Hit: true
// says that the answer is that of an earlier call.
type Replay struct {
	IdempotencyHit string `header:"Idempotency-Hit" doc:"true when this repeats the answer to an earlier call with the same key."`
}

// Replayed marks the answer when hit.
func Replayed(hit bool) Replay {
	if hit {
		return Replay{"true"}
	}
	return Replay{}
}

// Versioned goes into the output of an operation that shows one thing.
type Versioned struct {
	ETag string `header:"ETag" doc:"The version, for If-Match."`
}

// Version is the ETag header of a version.
func Version(version int64) Versioned { return Versioned{ETag(version)} }

// ETag writes a version as an entity tag: "7", quotes included.
func ETag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// Precondition goes into the input of an operation that changes what the
// caller has seen.
type Precondition struct {
	Header string `header:"If-Match" doc:"The ETag you saw; a change in between is refused with 412."`
}

// Version is the version the caller saw; see IfMatch for its errors.
func (p Precondition) Version() (int64, error) { return IfMatch(p.Header) }

// IfMatch reads the version out of an If-Match header. A missing header is
// status 428 with code if_match_required, a damaged one is fault.Invalid.
// The weak form is taken too: a proxy that compresses weakens tags, and a
// version means the same to us either way.
func IfMatch(header string) (int64, error) {
	if header == "" {
		return 0, transport{fault.New(fault.Invalid, "if_match_required",
			"Send If-Match with the ETag you saw, so that you do not overwrite somebody else's change."), http.StatusPreconditionRequired}
	}
	text := strings.TrimPrefix(header, "W/")
	if len(text) > 2 && text[0] == '"' && text[len(text)-1] == '"' {
		if v, err := strconv.ParseInt(text[1:len(text)-1], 10, 64); err == nil && v > 0 { // 0 means any to the slices
			return v, nil
		}
	}
	return 0, fault.InvalidFields([]fault.Field{{Field: "If-Match", Code: "etag",
		Detail: `Send one ETag as you got it, quotes included, such as "7".`}})
}

// CheckVersion is ErrStale when the caller saw another version than the
// present one.
func CheckVersion(seen, present int64) error {
	if seen != present {
		return ErrStale.With("version", present)
	}
	return nil
}
