package human_test

import (
	"strings"
	"testing"

	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/manifest/human"
)

func TestCommitSaysWhetherItIsAll(t *testing.T) {
	t.Parallel()
	for want, g := range map[string]*manifest.Git{
		"":              nil,
		"b0f1":          {Commit: "b0f1"},
		"b0f1 on x":     {Commit: "b0f1", Branch: "x"},
		"none yet on x": {Branch: "x"},
		"b0f1 on x, with changes that are in no commit": {Commit: "b0f1", Branch: "x", Dirty: true},
	} {
		if got := human.Commit(g); got != want {
			t.Errorf("%+v is %q, not %q", g, got, want)
		}
	}
}

func TestChangedNamesTheFirst(t *testing.T) {
	t.Parallel()
	many := strings.Split("abcdefghijklmno", "")
	for want, g := range map[string]manifest.Git{
		"":                {Dirty: true}, // a document older than the names, or changes outside the tree
		"a, b":            {Changed: many[:2], ChangedCount: 2},
		"a, b and 3 more": {Changed: many[:2], ChangedCount: 5},
		"a, b, c":         {Changed: many[:3], ChangedCount: -1}, // a host may write anything
		"a, b, c, d, e, f, g, h, i, j and 390 more": {Changed: many, ChangedCount: 400},
	} {
		if got := human.Changed(&g); got != want {
			t.Errorf("%+v is %q, not %q", g, got, want)
		}
	}
}
