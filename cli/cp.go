package cli

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote/fetch"
	"github.com/spf13/cobra"
)

func newCpCommand(app *App) *cobra.Command {
	var host string
	cmd := &cobra.Command{
		Use:   "cp JOB:PATH DEST",
		Short: "Copy one artifact, or a directory of them, to a place of your choice",
		Long:  "Copy an artifact to DEST, or below DEST if that is a directory; - is stdout. PATH may be a directory or a glob.\n" + jobHelp,
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.cp(cmd.Context(), host, args[0], args[1])
		},
	}
	cmd.Flags().StringVarP(&host, "host", "H", "", "host of the job (also $CYCLOPS_HOST)")
	return cmd
}

func (app *App) cp(ctx context.Context, hostFlag, what, dest string) error {
	ref, name, ok := strings.Cut(what, ":")
	name = path.Clean(name)
	if !ok || ref == "" || name == "." {
		return api.Errorf(api.Usage, "cyclops cp JOB:build/top.bit .", "%q does not name an artifact of a job", what)
	}
	from, err := app.locate(ctx, hostFlag, ref)
	if err != nil {
		return err
	}
	defer from.Close()
	m, err := from.decode()
	if err != nil {
		return err
	}
	if dest == "-" {
		return app.cpOut(ctx, from, m, name)
	}
	root := moveArtifacts(m, name, dest)
	report, err := app.place(ctx, fetch.Request{Manifest: m, Root: root, Dirs: app.dirs, All: true, ClockOffset: from.ahead}, from.source)
	if err != nil {
		return err
	}
	app.sayReport(report)
	if report.Files+report.Same+len(report.Conflicts)+len(report.Failed)+len(report.Refused) == 0 {
		return noArtifact(m, name)
	}
	return report.Err()
}

func noArtifact(m *manifest.Manifest, name string) error {
	return api.Errorf(api.NotFound, "cyclops show "+m.Job+" lists them", "job %s has no artifact %s", m.Job, name)
}

// cpOut writes one artifact to stdout, verified as it goes.
func (app *App) cpOut(ctx context.Context, from *located, m *manifest.Manifest, name string) error {
	for _, a := range m.Artifacts {
		if (a.Name == name || a.OwnLog() && a.Path == name) && a.Kind != manifest.KindSymlink {
			return fetch.Copy(ctx, from.source, a, app.Out)
		}
	}
	return noArtifact(m, name)
}

// moveArtifacts keeps in m what name asks for, under the names it is to have, and returns the
// directory those are relative to.
func moveArtifacts(m *manifest.Manifest, name, dest string) (root string) {
	single := false
	for _, a := range m.Artifacts {
		single = single || a.Name == name
	}
	info, err := os.Stat(dest)
	toDir := err == nil && info.IsDir() || strings.HasSuffix(dest, "/")
	kept := m.Artifacts[:0]
	for _, a := range m.Artifacts {
		if a.OwnLog() && a.Path == name {
			a.Name, single = name, true
		}
		to, ok := newName(a.Name, name)
		if !ok {
			continue
		}
		if single && !toDir {
			to = filepath.Base(dest)
		}
		a.Name, a.Fresh = to, true // asked for by name: stale ones too
		kept = append(kept, a)
	}
	m.Artifacts = kept
	if single && !toDir {
		return filepath.Dir(dest)
	}
	return dest
}

// newName is what an artifact is called below DEST, if name asks for it: its last component, or
// the path below the directory that name is.
func newName(artifact, name string) (string, bool) {
	if artifact == name {
		return path.Base(artifact), true
	}
	if strings.HasPrefix(artifact, name+"/") {
		return path.Join(path.Base(name), strings.TrimPrefix(artifact, name+"/")), true
	}
	if ok, err := path.Match(name, artifact); err == nil && ok {
		return path.Base(artifact), true
	}
	return "", false
}
