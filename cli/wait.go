package cli

import (
	"context"

	"github.com/cyclops-fpga/cyclops/executor/api"
	"github.com/cyclops-fpga/cyclops/manifest"
	"github.com/cyclops-fpga/cyclops/remote"
	"github.com/cyclops-fpga/cyclops/remote/hosts"
	"github.com/spf13/cobra"
)

func newWaitCommand(app *App) *cobra.Command {
	var host string
	var patience patienceFlag
	cmd := &cobra.Command{
		Use:   "wait JOB…",
		Short: "Wait until jobs have ended; exit with the first exit code that is not 0",
		Long:  "Wait until every job has ended. The exit code is the first one that is not 0, in the order of the arguments.\n" + jobHelp,
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return asJob(app.wait(cmd.Context(), host, patience, args))
		},
	}
	cmd.Flags().StringVarP(&host, "host", "H", "", "host of the jobs (also $CYCLOPS_HOST)")
	patience.register(cmd.Flags())
	return cmd
}

func (app *App) wait(ctx context.Context, hostFlag string, patience patienceFlag, refs []string) error {
	first := &exitError{}
	for _, ref := range refs {
		m, err := app.waitOne(ctx, hostFlag, patience, ref)
		if err != nil {
			return err
		}
		if first.code == 0 {
			first = &exitError{code: jobExit(m.State, m.ExitCode, m.Signal, m.Started != nil), err: explain(m)}
		}
	}
	if first.code == 0 {
		return nil
	}
	return first
}

func (app *App) waitOne(ctx context.Context, hostFlag string, patience patienceFlag, ref string) (*manifest.Manifest, error) {
	host, id, err := app.find(ctx, hostFlag, ref)
	if err != nil {
		return nil, err
	}
	defer host.Close()
	config, err := hosts.Load(app.dirs)
	if err != nil {
		return nil, err
	}
	contact := app.newContact(patience, config, host.Name, nil)
	defer contact.quiet()
	attachment := host.client.Attach(nil, api.Follow{Job: id}, &contact.Patience)
	defer attachment.Close()
	result, err := attachment.Run(ctx, remote.Handler{})
	if err != nil {
		return nil, err
	}
	return decodeResult(result)
}

// decodeResult reads the manifest of a session that ended.
func decodeResult(result *api.Result) (*manifest.Manifest, error) {
	if result == nil {
		return nil, api.Errorf(api.LostContact, "cyclops show JOB tells its state", "the executor ended the stream without a result")
	}
	return decodeManifest(result.Manifest)
}
