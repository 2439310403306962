package dispatch

import (
	"slices"

	"rescued/geo"
)

// Energy is what drives a car.
type Energy string

// The energies: combustion, battery, plug-in hybrid, range extender.
const (
	EnergyICE  Energy = "ice"
	EnergyBEV  Energy = "bev"
	EnergyPHEV Energy = "phev"
	EnergyEREV Energy = "erev"
)

// Energies lists every energy.
func Energies() []Energy { return []Energy{EnergyICE, EnergyBEV, EnergyPHEV, EnergyEREV} }

// WeightClass is how heavy a car is, by gross mass.
type WeightClass string

// The weight classes: up to 3.5 t, up to 12 t, above.
const (
	WeightLight  WeightClass = "light"
	WeightMedium WeightClass = "medium"
	WeightHeavy  WeightClass = "heavy"
)

// WeightClasses lists every weight class.
func WeightClasses() []WeightClass { return []WeightClass{WeightLight, WeightMedium, WeightHeavy} }

// Problem is what is wrong with a car, as its owner names it.
type Problem string

// The problems.
const (
	ProblemBatteryJump      Problem = "battery_jump"
	ProblemBatteryReplace   Problem = "battery_replace"
	ProblemTyre             Problem = "tyre"
	ProblemFuel             Problem = "fuel"
	ProblemEVCharge         Problem = "ev_charge"
	ProblemEVFault          Problem = "ev_fault"
	ProblemLockout          Problem = "lockout"
	ProblemTowFlatbed       Problem = "tow_flatbed"
	ProblemTowWheelLift     Problem = "tow_wheel_lift"
	ProblemWinch            Problem = "winch"
	ProblemAccident         Problem = "accident"
	ProblemGarageExtraction Problem = "garage_extraction"
	ProblemHeavy            Problem = "heavy"
	ProblemOther            Problem = "other"
)

// The capabilities of a crew, one bit each. The order is stored: append only.
const (
	CanBatteryJump geo.Capabilities = 1 << iota
	CanBatteryReplace
	CanTyre
	CanFuel
	CanEVCharge
	CanEVFault
	CanLockout
	CanFlatbed
	CanWheelLift
	CanWinch
	CanGarageExtraction
	CanHeavy
)

var capabilityNames = []string{
	"battery_jump", "battery_replace", "tyre", "fuel", "ev_charge", "ev_fault", "lockout",
	"flatbed", "wheel_lift", "winch", "garage_extraction", "heavy",
}

// AllCapabilities lists the name of every capability.
func AllCapabilities() []string { return slices.Clone(capabilityNames) }

// CapabilityNames writes a set as names, never nil.
func CapabilityNames(set geo.Capabilities) []string {
	names := []string{}
	for i, name := range capabilityNames {
		if set.Has(1 << i) {
			names = append(names, name)
		}
	}
	return names
}

// ParseCapabilities reads names. The first one that is unknown is returned
// with ok false.
func ParseCapabilities(names []string) (set geo.Capabilities, unknown string, ok bool) {
	for _, name := range names {
		i := slices.Index(capabilityNames, name)
		if i < 0 {
			return 0, name, false
		}
		set |= 1 << i
	}
	return set, "", true
}

var problemNeeds = map[Problem]geo.Capabilities{
	ProblemBatteryJump: CanBatteryJump, ProblemBatteryReplace: CanBatteryReplace, ProblemTyre: CanTyre,
	ProblemFuel: CanFuel, ProblemEVCharge: CanEVCharge, ProblemEVFault: CanEVFault, ProblemLockout: CanLockout,
	ProblemTowFlatbed: CanFlatbed, ProblemTowWheelLift: CanWheelLift, ProblemWinch: CanWinch,
	ProblemAccident: CanFlatbed, ProblemGarageExtraction: CanGarageExtraction, ProblemHeavy: CanHeavy,
	ProblemOther: 0,
}

// Problems lists every problem.
func Problems() []Problem {
	return []Problem{
		ProblemBatteryJump, ProblemBatteryReplace, ProblemTyre, ProblemFuel, ProblemEVCharge, ProblemEVFault,
		ProblemLockout, ProblemTowFlatbed, ProblemTowWheelLift, ProblemWinch, ProblemAccident,
		ProblemGarageExtraction, ProblemHeavy, ProblemOther,
	}
}

// Need says what a crew must be able to do for a problem. A car with a
// traction battery is never towed on its driven wheels: its tow is a flatbed.
// A heavy vehicle needs heavy equipment whatever its problem.
func Need(p Problem, e Energy, w WeightClass) geo.Capabilities {
	need := problemNeeds[p]
	if p == ProblemTowWheelLift && e != EnergyICE {
		need = CanFlatbed
	}
	if w == WeightHeavy {
		need |= CanHeavy
	}
	return need
}

// Priority orders requests that compete for a crew; lower is more urgent.
type Priority int

// The priorities.
const (
	PriorityDanger  Priority = 0 // danger to life
	PriorityExposed Priority = 1 // people stand where they should not stand long
	PriorityNormal  Priority = 2
)

// PriorityOf follows from the safety flags and the road alone, so that no
// caller can buy a place in the queue.
func PriorityOf(s Safety, road geo.RoadClass) Priority {
	switch {
	case s.Injury, s.LiveLane:
		return PriorityDanger
	case road == geo.Motorway, s.Children, s.AloneAtNight:
		return PriorityExposed
	}
	return PriorityNormal
}
