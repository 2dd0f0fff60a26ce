package cli

import (
	"github.com/cyclops-fpga/cyclops/cli/term"
	"github.com/spf13/cobra"
)

// newGuardCommand is what a client with a raw terminal starts beside itself; nobody types it.
func newGuardCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "guard",
		Short:  "Restore the terminal of a client that was killed",
		Hidden: true,
		Args:   cobra.NoArgs,
		Run:    func(*cobra.Command, []string) { term.ServeGuard() },
	}
}
