package events

import (
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"

	"rescued/internal/fault"
)

// Source is the CloudEvents source of everything this system says.
const Source = "urn:rescued"

// ErrUndecodable is the fault of a record that is not an event of its topic.
// It never mends by waiting: the runner sends such a record to the dead letters.
var ErrUndecodable = fault.New(fault.Invalid, "undecodable_event", "The record cannot be read as an event.")

// The headers of the Kafka protocol binding for CloudEvents 1.0.2, binary
// content mode: one header per attribute, the payload bare in the value.
const (
	headerSpec        = "ce_specversion"
	headerID          = "ce_id"
	headerSource      = "ce_source"
	headerType        = "ce_type"
	headerTime        = "ce_time"
	headerSubject     = "ce_subject"
	headerKey         = "ce_partitionkey" // the partitioning extension
	headerActor       = "ce_actor"        // ours: role:subject
	headerVersion     = "ce_aggregateversion"
	headerFeedNo      = "ce_feedno" // ours: place in the journal; absent on positions
	headerContentType = "content-type"

	specVersion = "1.0"
	contentType = "application/json"
)

// Envelope is an event as it travels: what every event has, beside the
// payload of its type.
type Envelope struct {
	ID      EventID
	Type    string
	Topic   Topic
	Key     string
	Source  string
	Subject string    // what it tells of: req_… or crw_…
	Actor   Actor     // zero for a foreign sender that names none
	At      time.Time // when it happened, by the business clock; UTC
	Version int64     // the aggregate's version after it, 0 without one
	FeedNo  int64     // place in the journal's feed, 0 before numbering and for positions
	Data    json.RawMessage

	// SenderID is the CloudEvents id as the sender wrote it. For our own
	// events it is ID's written form. A foreign id need not be a UUID; ID is
	// then derived from source, id and payload, so that a repeat is known as one.
	SenderID string
	// Headers holds a foreign sender's extension attributes, without "ce_".
	Headers map[string]string
}

// Decode reads the payload as one event type. Another type in the envelope,
// or data that does not fit, is ErrUndecodable; members it does not know are
// passed over, so that a sender may be newer than its readers.
func Decode[E Event](env Envelope) (E, error) {
	var ev E
	if env.Type != ev.EventType() {
		return ev, ErrUndecodable.Detailf("The event is a %.80s, not a %s.", env.Type, ev.EventType())
	}
	decoded, err := decodePayload(env.Type, env.Data)
	if err != nil {
		return ev, err
	}
	return decoded.(E), nil
}

// enclose puts an event into an envelope with a fresh identifier.
func enclose(by Actor, at time.Time, version int64, ev Event) (Envelope, error) {
	if _, ok := byType[ev.EventType()]; !ok {
		return Envelope{}, fmt.Errorf("event type %s is not registered", ev.EventType())
	}
	data, err := json.Marshal(ev)
	if err != nil {
		return Envelope{}, fmt.Errorf("encode %s: %w", ev.EventType(), err)
	}
	topic, key := ev.Stream()
	id := NewID[EventID]()
	return Envelope{
		ID: id, Type: ev.EventType(), Topic: topic, Key: key, Source: Source, Subject: ev.Subject(),
		Actor: by, At: at.UTC().Truncate(time.Microsecond), Version: version, Data: data, SenderID: id.String(),
	}, nil
}

// record writes the envelope for Kafka. The caller's client names the topic.
func (env Envelope) record(topic string) *kgo.Record {
	r := &kgo.Record{Topic: topic, Key: []byte(env.Key), Value: env.Data}
	put := func(name, value string) {
		if value != "" {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
		}
	}
	put(headerSpec, specVersion)
	put(headerID, env.SenderID)
	put(headerSource, env.Source)
	put(headerType, env.Type)
	put(headerTime, env.At.UTC().Format(time.RFC3339Nano))
	put(headerSubject, env.Subject)
	put(headerKey, env.Key)
	put(headerContentType, contentType)
	if env.Actor != (Actor{}) {
		put(headerActor, env.Actor.String())
	}
	if env.Version != 0 {
		put(headerVersion, strconv.FormatInt(env.Version, 10))
	}
	if env.FeedNo != 0 {
		put(headerFeedNo, strconv.FormatInt(env.FeedNo, 10))
	}
	for _, name := range slices.Sorted(maps.Keys(env.Headers)) {
		put("ce_"+name, env.Headers[name])
	}
	return r
}

// openRecord reads a record of topic. On the intake topic anybody may write:
// ce_id, ce_source and ce_type suffice there. On the others only this system
// writes, and whatever is missing or of another topic is refused.
func openRecord(topic Topic, r *kgo.Record) (Envelope, error) {
	h := headers(r)
	env := Envelope{Topic: topic, Key: string(r.Key), Data: r.Value}
	foreign := topic == TopicIntake
	if err := requireHeaders(h, foreign); err != nil {
		return env, err
	}
	env.SenderID, env.Source, env.Type, env.Subject = h[headerID], h[headerSource], h[headerType], h[headerSubject]
	if err := checkContent(h, r.Value); err != nil {
		return env, err
	}
	if err := env.openID(foreign); err != nil {
		return env, err
	}
	if err := env.openOptional(h, r.Timestamp); err != nil {
		return env, err
	}
	if foreign {
		env.Headers = extensions(h)
		return env, nil
	}
	known, ok := byType[env.Type]
	if !ok {
		return env, ErrUndecodable.Detailf("Nobody here knows the event type %.80q.", env.Type)
	}
	if home, _ := known.Stream(); home != topic {
		return env, ErrUndecodable.Detailf("A %s belongs to %s, not to %s.", env.Type, home, topic)
	}
	return env, nil
}

// headers reads the record's headers; of a repeated one the last counts.
// Names are compared in lower case, as CloudEvents attributes are.
func headers(r *kgo.Record) map[string]string {
	h := make(map[string]string, len(r.Headers))
	for _, header := range r.Headers {
		h[strings.ToLower(header.Key)] = string(header.Value)
	}
	return h
}

func requireHeaders(h map[string]string, foreign bool) error {
	required := []string{headerID, headerSource, headerType}
	if !foreign {
		required = append(required, headerSpec, headerTime, headerActor, headerContentType)
	}
	var missing []string
	for _, name := range required {
		if h[name] == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return ErrUndecodable.Detailf("The record has no header %s; send CloudEvents 1.0 in binary mode.",
			strings.Join(missing, ", "))
	}
	for _, name := range []string{headerID, headerSource, headerType, headerSubject} {
		if v := h[name]; !utf8.ValidString(v) || strings.ContainsFunc(v, unicode.IsControl) {
			return ErrUndecodable.Detailf("%s is %.80q; send plain text without control characters.", name, v)
		}
	}
	if v := h[headerSpec]; v != "" && v != specVersion {
		return ErrUndecodable.Detailf("ce_specversion is %.20q; this system reads %s.", v, specVersion)
	}
	return nil
}

func checkContent(h map[string]string, data []byte) error {
	if ct := h[headerContentType]; ct != "" {
		media, _, err := mime.ParseMediaType(ct)
		if err != nil || media != contentType && !strings.HasSuffix(media, "+json") || strings.HasPrefix(media, "application/cloudevents") {
			return ErrUndecodable.Detailf("content-type is %.60q; send %s with the attributes in ce_ headers.", ct, contentType)
		}
	}
	if !json.Valid(data) {
		return ErrUndecodable.Detailf("The record's value is not JSON.")
	}
	return nil
}

// foreignSpace is the name space of identifiers derived for foreign events.
var foreignSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://cloudevents.io/rescued"))

func (env *Envelope) openID(foreign bool) error {
	if foreign {
		// A repeat has the same source, id and payload. Under CloudEvents source
		// and id would do; but a sender that gives two events one id must hear
		// of it, and not have the second dropped as a repeat of the first.
		env.ID = foreignID(env.Source, env.SenderID, string(env.Data))
		return nil
	}
	id, err := ParseID[EventID](env.SenderID)
	if err != nil {
		return ErrUndecodable.Detailf("ce_id %.60q is not evt_ followed by a UUID.", env.SenderID)
	}
	env.ID = id
	return nil
}

// foreignID derives an identifier from texts. A NUL parts them, since none
// can hold one.
func foreignID(parts ...string) EventID {
	return IDFromUUID[EventID](uuid.NewSHA1(foreignSpace, []byte(strings.Join(parts, "\x00"))))
}

// SenderKey names a foreign event as CloudEvents does, by source and id
// together, in 40 characters: it is the same for two events that differ in
// their payload alone.
func (env Envelope) SenderKey() string { return foreignID(env.Source, env.SenderID).String() }

// openOptional reads the headers a foreign sender may leave out. Its missing
// ce_time is the record's own time.
func (env *Envelope) openOptional(h map[string]string, recordAt time.Time) error {
	env.At = recordAt.UTC().Truncate(time.Microsecond)
	if text := h[headerTime]; text != "" {
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return ErrUndecodable.Detailf("ce_time %.60q is not an RFC 3339 time.", text)
		}
		env.At = at.UTC().Truncate(time.Microsecond)
	}
	if env.Topic != TopicIntake {
		actor, err := ParseActor(h[headerActor])
		if err != nil {
			return ErrUndecodable.Detailf("ce_actor %.60q is not role:subject.", h[headerActor])
		}
		env.Actor = actor
	}
	for name, into := range map[string]*int64{headerVersion: &env.Version, headerFeedNo: &env.FeedNo} {
		text := h[name]
		if text == "" || env.Topic == TopicIntake {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return ErrUndecodable.Detailf("%s %.30q is not a whole number.", name, text)
		}
		*into = n
	}
	return nil
}

// extensions keeps what a foreign sender added beyond the core attributes.
// What it calls actor, version or feed number is its own word, not ours.
func extensions(h map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range h {
		switch name {
		case headerSpec, headerID, headerSource, headerType, headerTime, headerSubject:
			continue
		}
		if ext, ok := strings.CutPrefix(name, "ce_"); ok {
			out[ext] = value
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
