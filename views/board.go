package views

import (
	"slices"
	"strconv"
	"time"

	"trackside/store"
)

// BoardModel is the wall screen: `/board`.
type BoardModel struct {
	Frame Frame

	grid     string
	tiles    []tile
	now      time.Time
	snapshot *store.Snapshot
	totals   []totalLink
}

// tile is one runner on the wall, or several in one.
type tile struct {
	ID, Href string
	mark
	Moving movingView
	// Quiet is who took it out of service, or who is on its failure; nil for nobody.
	Quiet []store.Part
	Name  name
	Place string
	Why   []store.Part
	Since time.Time
	// Wide tiles take two places.
	Wide bool
	// Sum stands instead of a name where a tile stands for many runners.
	Sum string
}

// grids are the layouts of the wall: how many places, and the class that makes them.
var grids = []struct {
	places int
	class  string
}{
	{12, "g4"}, {30, "g6"}, {56, "g8"}, {80, "g10"}, {120, "g12"},
}

// Names of up to tileName characters always have room in a tile; of longer ones the last tileTail are kept.
const (
	tileName = 12
	tileTail = 5
)

// mostPlaces is how many the largest layout has.
const mostPlaces = 120

// NewBoardModel lays the fleet out for a wall: those that want attention first and twice as wide, so that their sentence can be
// read from afar. When there are too many, the healthy ones become one tile, and then those unwell for longest.
func NewBoardModel(s *store.Snapshot, now time.Time) BoardModel {
	m := BoardModel{now: now, snapshot: s, totals: totalLinks(s, store.Filter{})}
	all := s.Select(store.Filter{})
	bad := 0
	for bad < len(all) && unwell(all[bad]) {
		bad++
	}
	shown, well := all[:bad], all[bad:]
	if places(bad, len(well)) > mostPlaces {
		shown, well = all[:min(bad, mostPlaces/2-2)], nil
	}
	for _, r := range slices.Concat(shown, well) {
		m.tiles = append(m.tiles, newTile(s, r))
	}
	m.sumUp(len(shown), len(well), bad, len(all), s.Totals())
	m.grid = gridFor(m.tiles)
	return m
}

// places is how much room the tiles take: those of the unwell are wide.
func places(unwell, well int) int { return 2*unwell + well }

// sumUp adds the tiles that stand for the runners without one.
func (m *BoardModel) sumUp(shown, well, bad, all int, t store.Totals) {
	if n := bad - shown; n > 0 {
		m.tiles = append(m.tiles, tile{ID: "more", Href: "/?health=unhealthy&health=degraded&health=unknown", mark: mark{"d", "more"}, Sum: strconv.Itoa(n) + " more unwell", Wide: true})
	}
	if all-bad > well {
		sum := strconv.Itoa(t.Health(store.Healthy)) + " healthy"
		if t.Disabled > 0 {
			sum += ", " + strconv.Itoa(t.Disabled) + " disabled"
		}
		m.tiles = append(m.tiles, tile{ID: "well", Href: "/?health=healthy", mark: markOf(store.Healthy), Sum: sum, Wide: true})
	}
}

func gridFor(tiles []tile) string {
	wide := 0
	for _, t := range tiles {
		if t.Wide {
			wide++
		}
	}
	for _, g := range grids {
		if places(wide, len(tiles)-wide) <= g.places {
			return g.class
		}
	}
	return grids[len(grids)-1].class
}

func newTile(s *store.Snapshot, r *store.Runner) tile {
	t := tile{ID: r.Ref.ID(), Href: r.Ref.Path(), mark: runnerMark(r), Moving: newMoving(r), Quiet: shortMark(r), Name: shorten(r.Ref.Name, tileName, tileTail), Place: place(r.Ref), Since: r.Since, Wide: unwell(r)}
	if unwell(r) {
		t.Why = parts(r.Why)
	}
	if ack := ackParts(s, r); ack != nil {
		t.Quiet = ack
	}
	return t
}

func (m BoardModel) shell() shell {
	t := m.snapshot.Totals()
	return shell{Frame: m.Frame, Title: m.title(), Icon: IconURL(t), Stream: "/board/stream", Now: m.now, Class: "wall"}
}

func (m BoardModel) title() string { return title(m.snapshot.Totals(), "Trackside board") }

// StreamURL is the address of the page's stream.
func (m BoardModel) StreamURL() string { return "/board/stream" }
