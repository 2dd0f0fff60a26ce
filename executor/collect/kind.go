//go:build linux

package collect

import (
	"path"
	"strings"

	"github.com/cyclops-fpga/cyclops/manifest"
)

// kindOf tells from a file's name what it is for, and its media type. The system's own table of
// types is not asked: the same file is the same thing on every host.
func kindOf(name string) (manifest.Kind, string) {
	switch strings.ToLower(path.Ext(name)) {
	case ".bit", ".bin", ".sof", ".pof", ".rbf", ".jed", ".jic", ".svf", ".mcs", ".asc", ".fs", ".ldb", ".xclbin", ".pdi":
		return manifest.KindBitstream, "application/octet-stream"
	case ".rpt", ".summary", ".twr", ".mrp", ".par", ".srr":
		return manifest.KindReport, "text/plain"
	case ".log", ".jou":
		return manifest.KindLog, "text/plain"
	case ".json":
		return manifest.KindReport, "application/json"
	case ".html", ".htm":
		return manifest.KindReport, "text/html"
	case ".xml":
		return manifest.KindReport, "application/xml"
	case ".txt", ".csv", ".md":
		return manifest.KindOutput, "text/plain"
	}
	return manifest.KindOutput, "application/octet-stream"
}

// rank orders artifacts: what a person looks at first comes back first.
func rank(k manifest.Kind) int {
	switch k {
	case manifest.KindReport:
		return 0
	case manifest.KindLog:
		return 1
	case manifest.KindBitstream:
		return 2
	}
	return 3
}
