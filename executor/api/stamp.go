package api

import "runtime/debug"

// Build is set by the linker in releases: -X github.com/cyclops-fpga/cyclops/executor/api.Build=v1.2.3
var Build string

// BuildVersion is the version of this binary: the linker's, else what Go recorded of the build.
func BuildVersion() string {
	if Build != "" {
		return Build
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "devel-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}
