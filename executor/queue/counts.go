package queue

import (
	"maps"
	"slices"
	"strconv"
)

// Counted grants counted resources: so many of each name, cores among them.
type Counted struct {
	total map[string]int
	held  map[string]int
}

// NewCounted returns Leases on so many of each resource.
func NewCounted(total map[string]int) *Counted {
	return &Counted{total: maps.Clone(total), held: map[string]int{}}
}

// Lease implements Leases; what a job holds of a resource is its count in decimal.
func (c *Counted) Lease(needs map[string]int) (held map[string][]string, short []string) {
	for _, name := range slices.Sorted(maps.Keys(needs)) {
		if c.held[name]+needs[name] > c.total[name] {
			short = append(short, name)
		}
	}
	if len(short) > 0 || len(needs) == 0 {
		return nil, short
	}
	held = map[string][]string{}
	for name, n := range needs {
		c.held[name] += n
		held[name] = []string{strconv.Itoa(n)}
	}
	return held, nil
}

// Release implements Leases.
func (c *Counted) Release(held map[string][]string) {
	for name, counts := range held {
		for _, count := range counts {
			n, _ := strconv.Atoi(count)
			c.held[name] -= n
		}
	}
}

// Usage is how much of a resource there is and is held.
type Usage struct {
	Name        string
	Total, Held int
}

// Usage lists every resource by name.
func (c *Counted) Usage() []Usage {
	var all []Usage
	for _, name := range slices.Sorted(maps.Keys(c.total)) {
		all = append(all, Usage{Name: name, Total: c.total[name], Held: c.held[name]})
	}
	return all
}

// Short returns the first resource of which needs asks for more than there is at all, or "".
func (c *Counted) Short(needs map[string]int) (name string, asked, total int) {
	for _, name := range slices.Sorted(maps.Keys(needs)) {
		if n := needs[name]; n < 0 || n > c.total[name] {
			return name, n, c.total[name]
		}
	}
	return "", 0, 0
}
