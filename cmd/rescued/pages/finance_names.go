package pages

import (
	"net/http"
	"strings"

	"rescued/dispatch"
	"rescued/events"
	"rescued/sla"
)

// learn asks how these providers and partners are called, for Name to say.
func (f finance) learn(r *http.Request, ids ...string) error {
	names, err := f.p.API.PartyNames(r.Context(), f.By, ids...)
	for id, name := range names {
		f.names[id] = name
	}
	return err
}

// Name is what a provider or partner is called; its identifier when nobody
// registered it here, as it may be of imported rescues.
func (f finance) Name(id string) string { return orElse(f.names[id], id) }

// Named reports whether a provider or partner has a name, so that its number is
// to be shown beside it.
func (f finance) Named(id string) bool { return f.names[id] != "" }

// Who is a person as he is shown: his name, and in what capacity.
func (f finance) Who(actor string) string {
	role, subject, ok := strings.Cut(actor, ":")
	if !ok {
		return actor
	}
	return fill(f.word("who"), "name", f.Name(subject), "role", f.Role(role))
}

// organisations are the providers and partners who did something of a rescue.
func organisations(entries []dispatch.TimelineEntry, list []recorded) (ids []string) {
	for _, e := range entries {
		if e.By == events.RoleProvider || e.By == events.RolePartner {
			ids = append(ids, e.Who)
		}
	}
	for _, rec := range list {
		_, subject, _ := strings.Cut(rec.By, ":")
		ids = append(ids, subject)
	}
	return ids
}

// whoseOf are those whose the statements are, for learn.
func whoseOf(list []sla.Statement) []string {
	ids := make([]string, len(list))
	for i, s := range list {
		ids[i] = s.Of.BearerID()
	}
	return ids
}
