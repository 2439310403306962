package sla

import "fmt"

// Approval says which compensations finance must look at before they are paid.
type Approval struct {
	AutoUpToFen     Fen `json:"auto_up_to_fen,omitempty" doc:"A compensation of at most this much, in fen, is approved by the policy itself; 0 or missing: none is."`
	FourEyesOverFen Fen `json:"four_eyes_over_fen,omitempty" doc:"A compensation of more than this much, in fen, needs two approvers; 0 or missing: none does."`
}

// Auto reports whether the policy itself approves a compensation of fen.
func (a Approval) Auto(fen Fen) bool { return fen <= a.AutoUpToFen }

// FourEyes reports whether a compensation of fen needs two approvers.
func (a Approval) FourEyes(fen Fen) bool { return a.FourEyesOverFen > 0 && fen > a.FourEyesOverFen }

// Bearers says who bears a compensation, in percent that sum to 100. The zero
// value, which a document without bearers has, is the platform alone.
type Bearers struct {
	PlatformPct     int  `json:"platform_pct" doc:"Borne by the platform, in percent."`
	ProviderPct     int  `json:"provider_pct" doc:"Charged back to the provider at fault, in percent."`
	PartnerPct      int  `json:"partner_pct" doc:"Borne by the partner whose request it was, in percent."`
	ServiceFeeFen   Fen  `json:"service_fee_fen,omitempty" doc:"What a provider earns for a rescue, in fen."`
	CapByServiceFee bool `json:"cap_by_service_fee,omitempty" doc:"A provider bears no more than the service fee; what is above it falls to the platform."`
}

// Caps limit what is paid. A cap of 0 or missing is none.
type Caps struct {
	PerCaseFen         Fen `json:"per_case_fen,omitempty" doc:"Most for one rescue, in fen."`
	PerVehicleMonthFen Fen `json:"per_vehicle_month_fen,omitempty" doc:"Most for one vehicle in a calendar month, in fen."`
	BudgetFen          Fen `json:"budget_fen,omitempty" doc:"Budget of the programme, in fen. What goes beyond it waits for approval; no payment is dropped."`
}

// percent is pct percent of f in whole fen, rounded towards zero. It cannot
// overflow for a percentage up to 100.
func percent(f Fen, pct int) Fen {
	n := Fen(pct)
	return f/100*n + f%100*n/100
}

// wrongMoney lists what cannot be meant of approval, bearers and caps.
func (p Policy) wrongMoney(c *complaints) {
	for _, f := range []struct {
		field string
		fen   Fen
	}{
		{"approval.auto_up_to_fen", p.Approval.AutoUpToFen},
		{"approval.four_eyes_over_fen", p.Approval.FourEyesOverFen},
		{"bearers.service_fee_fen", p.Bearers.ServiceFeeFen},
		{"caps.per_case_fen", p.Caps.PerCaseFen},
		{"caps.per_vehicle_month_fen", p.Caps.PerVehicleMonthFen},
	} {
		c.check(f.fen >= 0 && f.fen <= maxFen, f.field, "range", "must be between 0 and %d fen", maxFen)
	}
	c.check(p.Caps.BudgetFen >= 0 && p.Caps.BudgetFen <= maxBudget, "caps.budget_fen", "range", "must be between 0 and %d fen", maxBudget)
	a, k, b := p.Approval, p.Caps, p.Bearers
	c.check(a.FourEyesOverFen == 0 || a.AutoUpToFen <= a.FourEyesOverFen, "approval.auto_up_to_fen", "range",
		"is above four_eyes_over_fen (%d): what needs two approvers cannot approve itself", a.FourEyesOverFen)
	c.check(k.PerCaseFen == 0 || k.PerVehicleMonthFen == 0 || k.PerCaseFen <= k.PerVehicleMonthFen, "caps.per_case_fen", "range",
		"is above per_vehicle_month_fen (%d): one rescue could never be paid that much", k.PerVehicleMonthFen)
	if b == (Bearers{}) {
		return
	}
	for _, f := range []struct {
		field string
		pct   int
	}{{"platform_pct", b.PlatformPct}, {"provider_pct", b.ProviderPct}, {"partner_pct", b.PartnerPct}} {
		c.check(f.pct >= 0 && f.pct <= 100, "bearers."+f.field, "range", "must be between 0 and 100")
	}
	sum := b.PlatformPct + b.ProviderPct + b.PartnerPct
	c.check(sum == 100, "bearers", "sum", "are %s together; the three must be 100", fmt.Sprintf("%d%%", sum))
	c.check(!b.CapByServiceFee || b.ServiceFeeFen > 0, "bearers.service_fee_fen", "required", "is missing; cap_by_service_fee needs it")
}
