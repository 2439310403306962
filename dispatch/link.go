package dispatch

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"rescued/events"
	"rescued/internal/fault"
)

// ErrNoLink: a tracking link that is none of ours, was revoked or has ended.
// Which of these it is, a stranger does not learn.
var ErrNoLink = fault.New(fault.NotFound, "link_not_found", "This link is not valid or has ended; ask whoever sent it for a new one.")

const (
	linkMAC = 16 // bytes of the code; guessing 128 bits is out of the question
	// linkAfter is how long a link still shows a request that is over: long
	// enough to read what is owed and why.
	linkAfter = 90 * 24 * time.Hour
)

// Link is the request's tracking token: base64url of its UUID and a truncated
// HMAC-SHA-256 over UUID and epoch. Whoever holds it is taken for the owner of
// this one request. Nothing is stored, so a repeated answer carries the same
// link; raising the request's epoch revokes it.
func (s *Service) Link(r Request) string {
	id := r.ID.UUID()
	return base64.RawURLEncoding.EncodeToString(append(id[:], s.linkMAC(id, r.TrackingEpoch)...))
}

func (s *Service) linkMAC(id uuid.UUID, epoch int) []byte {
	mac := hmac.New(sha256.New, s.cfg.LinkKey)
	mac.Write([]byte("tracking link\x00"))
	mac.Write(id[:])
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(epoch)))
	return mac.Sum(nil)[:linkMAC]
}

// ByLink reads a tracking token: the owner it speaks for and his request. Its
// error is ErrNoLink. A link ends 90 days after its request.
func (s *Service) ByLink(ctx context.Context, token string) (events.Actor, events.RequestID, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != 16+linkMAC {
		return events.Actor{}, events.RequestID{}, ErrNoLink
	}
	id := uuid.UUID(raw[:16])
	request := events.IDFromUUID[events.RequestID](id)
	held, err := selectLinkHolder(ctx, s.pool, request)
	if err != nil {
		return events.Actor{}, events.RequestID{}, err
	}
	// The code is checked even when there is no such request, so that time
	// tells nothing about which requests exist.
	good := hmac.Equal(raw[16:], s.linkMAC(id, held.epoch))
	if !good || held.owner.IsZero() || (held.closedAt != nil && s.now().Sub(*held.closedAt) > linkAfter) {
		return events.Actor{}, events.RequestID{}, ErrNoLink
	}
	return ownerActor(held.owner), request, nil
}

// anonymousOwner is who asks without a token: an owner of his own, whose only
// key is the tracking link. The same Idempotency-Key is the same owner, so
// that a repeated call finds its first answer.
func (s *Service) anonymousOwner(key string) events.Actor {
	mac := hmac.New(sha256.New, s.cfg.LinkKey)
	mac.Write([]byte("anonymous owner\x00"))
	mac.Write([]byte(key))
	id := uuid.UUID(mac.Sum(nil)[:16])
	id[6] = id[6]&0x0f | 0x80 // version 8: made by our own rule (RFC 9562)
	id[8] = id[8]&0x3f | 0x80
	return ownerActor(events.IDFromUUID[events.OwnerID](id))
}

func ownerActor(id events.OwnerID) events.Actor {
	return events.Actor{Role: events.RoleOwner, Subject: id.String()}
}

// linkHolder is what a tracking link is checked against.
type linkHolder struct {
	owner    events.OwnerID
	epoch    int
	closedAt *time.Time
}
