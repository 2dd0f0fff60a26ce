package human

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// maxChanged is how many changed files are named: more would hide what else there is to say.
const maxChanged = 10

// Commit says what a tree stood on, and whether that is all there was; nothing where there was no git.
func Commit(g *manifest.Git) string {
	if g == nil {
		return ""
	}
	text := cmp.Or(g.Commit, "none yet")
	if g.Branch != "" {
		text += " on " + g.Branch
	}
	if g.Dirty {
		text += ", with changes that are in no commit"
	}
	return text
}

// Changed names what of a tree was in no commit, as far as the document does.
func Changed(g *manifest.Git) string { return Names(g.Changed, maxChanged, g.ChangedCount) }

// Names lists the first of names and says how many more there are of all.
func Names(names []string, most, all int) string {
	names = names[:min(len(names), most)]
	text := strings.Join(names, ", ")
	if more := all - len(names); more > 0 && len(names) > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
