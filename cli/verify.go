package cli

import (
	"context"
	"fmt"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/remote/fetch"
)

// verify reads every artifact and compares it with its digest.
func (app *App) verify(ctx context.Context, hostFlag, word string) error {
	from, err := app.locate(ctx, hostFlag, word)
	if err != nil {
		return err
	}
	defer from.Close()
	m, err := from.decode()
	if err != nil {
		return err
	}
	bad := 0
	for _, a := range m.Artifacts {
		if err := fetch.Verify(ctx, from.source, a); err != nil {
			bad++
			app.warn("%s: %v", a.Name, err)
		}
	}
	if bad > 0 {
		return api.Errorf(api.Corrupt, "", "%d of %d artifacts of job %s do not match the manifest", bad, len(m.Artifacts), m.Job)
	}
	fmt.Fprintf(app.Out, "%s match the manifest of job %s\n", count(len(m.Artifacts), "artifact", "artifacts"), m.Job)
	return nil
}
