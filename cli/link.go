package cli

import (
	"github.com/cyclops-fpga/cyclops/remote/connect"
	"github.com/spf13/cobra"
)

// newLinkCommand is what a client starts in the background; nobody types it.
func newLinkCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "link",
		Short:  "Hold the SSH connection to a host",
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if code := connect.ServeLink(cmd.Context()); code != 0 {
				return &exitError{code: code}
			}
			return nil
		},
	}
}
