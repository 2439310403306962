package dispatch

import (
	"strings"

	"rescued/events"
	"rescued/geo"
)

// NewProvider is what a caller says to register a provider.
type NewProvider struct {
	Name  string `json:"name,omitempty"`
	Phone string `json:"phone,omitempty"`
	Key   string `json:"-"` // Idempotency-Key
}

// NewPartner is what a caller says to register a partner.
type NewPartner struct {
	Name string `json:"name,omitempty"`
	Key  string `json:"-"` // Idempotency-Key
}

// NewCrew is what a caller says to register a crew. It starts off duty.
type NewCrew struct {
	Provider     events.ProviderID `json:"provider_id,omitzero"` // a provider's token implies its own
	Name         string            `json:"name,omitempty"`
	Phone        string            `json:"phone,omitempty"`
	Plate        string            `json:"plate,omitempty"` // of the rescue vehicle
	Vehicle      string            `json:"vehicle,omitempty"`
	Capabilities []string          `json:"capabilities,omitempty"`
	AutoAccept   bool              `json:"auto_accept,omitempty"`
	Key          string            `json:"-"` // Idempotency-Key
}

// CrewChange is what to change about a crew; nil leaves a thing as it is.
type CrewChange struct {
	Name         *string   `json:"name,omitempty"`
	Phone        *string   `json:"phone,omitempty"`
	Plate        *string   `json:"plate,omitempty"`
	Vehicle      *string   `json:"vehicle,omitempty"`
	Capabilities *[]string `json:"capabilities,omitempty"`
	AutoAccept   *bool     `json:"auto_accept,omitempty"`
}

// Check names every wrong field of a new provider.
func (in NewProvider) Check() (Provider, error) {
	var c checker
	p := Provider{Name: c.text("name", in.Name, 1, 120), Phone: c.phone("phone", in.Phone), key: keyOf(in.Key, in)}
	c.key(in.Key)
	return p, c.err()
}

// Check names every wrong field of a new partner.
func (in NewPartner) Check() (Partner, error) {
	var c checker
	p := Partner{Name: c.text("name", in.Name, 1, 120), key: keyOf(in.Key, in)}
	c.key(in.Key)
	return p, c.err()
}

// Check names every wrong field of a new crew.
func (in NewCrew) Check() (Crew, error) {
	var c checker
	k := Crew{
		State: CrewOffDuty, Provider: in.Provider,
		Name: c.text("name", in.Name, 1, 80), Phone: c.phone("phone", in.Phone), Plate: c.truckPlate(in.Plate),
		Vehicle: c.text("vehicle", in.Vehicle, 0, 120), Capabilities: c.capabilities(in.Capabilities),
		AutoAccept: in.AutoAccept, key: keyOf(in.Key, in),
	}
	if in.Provider.IsZero() {
		c.add("provider_id", "required", "is missing; name the provider the crew works for")
	}
	c.key(in.Key)
	return k, c.err()
}

// apply changes a crew; its error names every wrong field and leaves the
// crew half changed, not to be saved.
func (in CrewChange) apply(k *Crew) error {
	var c checker
	if in.Name != nil {
		k.Name = c.text("name", *in.Name, 1, 80)
	}
	if in.Phone != nil {
		k.Phone = c.phone("phone", *in.Phone)
	}
	if in.Plate != nil {
		k.Plate = c.truckPlate(*in.Plate)
	}
	if in.Vehicle != nil {
		k.Vehicle = c.text("vehicle", *in.Vehicle, 0, 120)
	}
	if in.Capabilities != nil {
		k.Capabilities = c.capabilities(*in.Capabilities)
	}
	if in.AutoAccept != nil {
		k.AutoAccept = *in.AutoAccept
	}
	return c.err()
}

// phone reads a telephone number that may be left out.
func (c *checker) phone(field, s string) string {
	s = strings.TrimSpace(narrow(s))
	if s != "" && !phoneForm.MatchString(s) {
		c.add(field, "format", "must be a telephone number, such as +86 138 0000 0000, or be left out")
	}
	return s
}

func (c *checker) truckPlate(s string) string {
	plate := normalPlate(s)
	if plate != "" && !plateForm(plate) {
		c.add("plate", "format", "must be 2 to 12 letters and digits, or be left out")
	}
	return plate
}

func (c *checker) capabilities(names []string) geo.Capabilities {
	set, unknown, ok := ParseCapabilities(names)
	if !ok {
		c.add("capabilities", "unknown", "%.40q is unknown; name any of %s", unknown, strings.Join(capabilityNames, ", "))
	} else if set == 0 {
		c.add("capabilities", "required", "is empty; name any of %s", strings.Join(capabilityNames, ", "))
	}
	return set
}
