package manifest

import (
	"fmt"
	"slices"
	"strings"
)

// Difference is what two manifests have that is not the same.
type Difference struct {
	Fields   []Field  `json:"fields"` // of both jobs, the same or not; none that neither has
	Appeared []Change `json:"appeared"`
	Vanished []Change `json:"vanished"`
	Changed  []Change `json:"changed"`
	Same     int      `json:"same"` // artifacts
}

// Field is what both manifests say of one thing, for people.
type Field struct {
	Name string `json:"name"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

// Change is an artifact that only one of two manifests has, or that is not the same in both.
type Change struct {
	Name string    `json:"name"`
	Old  *Artifact `json:"old,omitempty"`
	New  *Artifact `json:"new,omitempty"`
}

// Inside says what is not the same of an artifact that changed, where its size does not tell: the
// beginnings of the digests, the permissions or the targets.
func (c *Change) Inside() string {
	switch {
	case c.Old == nil || c.New == nil:
		return ""
	case c.Old.Target != c.New.Target:
		return c.Old.Target + " → " + c.New.Target
	case c.Old.Digest != c.New.Digest:
		return c.Old.Digest.Short() + " → " + c.New.Digest.Short()
	}
	return fmt.Sprintf("%03o → %03o", c.Old.Mode, c.New.Mode)
}

// Compare says what became of a in b. The log that Cyclops kept is left out: it is never the same.
func Compare(a, b *Manifest) Difference {
	d := Difference{Appeared: []Change{}, Vanished: []Change{}, Changed: []Change{}}
	fields := func(m *Manifest) []Field {
		return []Field{
			{Name: "state", Old: string(m.State)}, {Name: "host", Old: m.Host}, {Name: "ended", Old: m.Ended.UTC().Format("2006-01-02 15:04:05")},
			{Name: "snapshot", Old: m.Input.Snapshot.Short()}, {Name: "commit", Old: commit(m.Input.Git)}, {Name: "wall", Old: seconds(m.Usage.WallSeconds)},
			{Name: "CPU", Old: seconds(m.Usage.CPUSeconds)}, {Name: "tools", Old: tools(m)},
		}
	}
	d.Fields = fields(a)
	for i, f := range fields(b) {
		d.Fields[i].New = f.Old
	}
	d.Fields = slices.DeleteFunc(d.Fields, func(f Field) bool { return f.Old == "" && f.New == "" })
	old := artifacts(a)
	for _, artifact := range b.Artifacts {
		if artifact.OwnLog() {
			continue
		}
		was, there := old[artifact.Name]
		delete(old, artifact.Name)
		switch {
		case !there:
			d.Appeared = append(d.Appeared, Change{Name: artifact.Name, New: &artifact})
		case was.Digest != artifact.Digest || was.Mode != artifact.Mode || was.Target != artifact.Target:
			d.Changed = append(d.Changed, Change{Name: artifact.Name, Old: &was, New: &artifact})
		default:
			d.Same++
		}
	}
	for name, was := range old {
		d.Vanished = append(d.Vanished, Change{Name: name, Old: &was})
	}
	for _, all := range [][]Change{d.Appeared, d.Vanished, d.Changed} {
		slices.SortFunc(all, func(x, y Change) int { return strings.Compare(x.Name, y.Name) })
	}
	return d
}

func seconds(s float64) string { return fmt.Sprintf("%.1f s", s) }

// commit is what a tree stood on. Before the first commit there is none.
func commit(g *Git) string {
	if g == nil {
		return ""
	}
	text := "none yet"
	if g.Commit != "" {
		text = g.Commit[:min(len(g.Commit), 12)]
	}
	if g.Dirty {
		text += ", with changes"
	}
	return text
}

func tools(m *Manifest) string {
	var names []string
	for _, t := range m.Tools {
		names = append(names, t.Name)
	}
	return strings.Join(names, ", ")
}

func artifacts(m *Manifest) map[string]Artifact {
	all := map[string]Artifact{}
	for _, a := range m.Artifacts {
		if !a.OwnLog() {
			all[a.Name] = a
		}
	}
	return all
}
