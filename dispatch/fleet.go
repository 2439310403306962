package dispatch

import (
	"rescued/events"
	"rescued/geo"
)

// fleet is what this replica knows of crews.
type fleet struct{ ix *geo.Index[events.CrewID] }

func newFleet(ix *geo.Index[events.CrewID]) *fleet { return &fleet{ix} }

type areaQueue struct{}

func newAreaQueue() *areaQueue { return &areaQueue{} }
