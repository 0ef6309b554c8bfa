package main

import (
	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/samplers"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer"
)

func newConfigCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "config",
		Usage: "check and list training configurations", UsageText: "saint config check FILE... | saint config list",
		Subcommands: []*cli.Command{
			{
				Name: "check", Aliases: []string{"show"}, Usage: "check configurations and print them with every default filled in", ArgsUsage: "FILE...",
				Flags: []cli.Flag{
					&cli.StringFlag{Name: "data_prefix", Usage: "`NAME` or folder by which short names such as rw.yml are resolved"},
				},
				Action: func(c *cli.Context) error {
					if !c.Args().Present() {
						return usagef("config check needs at least one file")
					}
					for _, name := range c.Args().Slice() {
						if err := checkConfig(e, name, c.String("data_prefix")); err != nil {
							return err
						}
					}
					return nil
				},
			},
			{
				Name: "list", Usage: "list the configurations that are built in",
				Action: func(*cli.Context) error {
					return listConfigs(e)
				},
			},
		},
	}
}

func listConfigs(e *env) error {
	for _, n := range trainconfig.Names() {
		var err error
		if e.json {
			err = e.printJSON(configLine{Type: "config", File: n})
		} else {
			err = e.printf("%s\n", n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// configLine is the JSON of a configuration; only a checked one has more than its name.
type configLine struct {
	Type      string `json:"type"`
	File      string `json:"file"`
	Hash      string `json:"hash,omitempty"`
	Trainable *bool  `json:"trainable,omitempty"`
	Resolved  string `json:"resolved,omitempty"`
}

// checkConfig parses a configuration, checks its keys and prints it.
func checkConfig(e *env, name, data string) error {
	cfg, err := trainconfig.Load(name, dataName(data))
	if err != nil {
		return err
	}
	if err := checkKeys(cfg); err != nil {
		return err
	}
	trainable := true
	if e.json {
		return e.printJSON(configLine{"config", cfg.Name, cfg.Hash(), &trainable, string(cfg.Resolved())})
	}
	return e.printf("# %s\n%s", cfg.Name, cfg.Resolved())
}

// checkKeys builds the samplers of a configuration on a two-node graph and its layers without
// memory, so that every key meets its owner.
func checkKeys(cfg *trainconfig.Config) error {
	env := samplers.Env{Graph: &formats.Graph{Indptr: []int64{0, 1, 2}, Indices: []int32{1, 0}}, Train: []int32{0, 1}, StandIn: true}
	for i := range cfg.Phases {
		if _, err := trainer.NewSampler(&cfg.Phases[i], env); err != nil {
			return err
		}
	}
	const features, classes = 16, 4 // any: only the keys are checked
	if err := trainer.CheckModel(cfg, features, classes); err != nil {
		return err
	}
	return cfg.CheckUsed()
}
