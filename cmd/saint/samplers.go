package main

import (
	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/samplers"
)

func newSamplersCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "samplers",
		Usage: "list the samplers that configurations may name, with their keys",
		Action: func(*cli.Context) error {
			for _, s := range samplers.All() {
				var err error
				if e.json {
					err = e.printJSON(samplerLine{"sampler", s.Name, s.Keys, s.Doc})
				} else {
					err = e.printf("%-20s %s\n%-20s keys: %s\n", s.Name, s.Doc, "", orNone(s.Keys))
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// samplerLine is the JSON of a sampler.
type samplerLine struct {
	Type string `json:"type"`
	Name string `json:"name"`
	Keys string `json:"keys"`
	Doc  string `json:"doc"`
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
