package main

import "strings"

// published holds the test F1-micro of GraphSAINT's paper (ICLR'20, tables 2 to 4) and of
// its entry on the OGB leader board, by data set and configuration.
var published = map[string]float64{
	"ppi table2/ppi2_n.yml": 0.960, "ppi table2/ppi2_e.yml": 0.981, "ppi table2/ppi2_rw.yml": 0.981, "ppi table2/ppi2_mrw.yml": 0.980,
	"flickr table2/flickr2_n.yml": 0.507, "flickr table2/flickr2_e.yml": 0.510, "flickr table2/flickr2_rw.yml": 0.511, "flickr table2/flickr2_mrw.yml": 0.510,
	"reddit table2/reddit2_n.yml": 0.962, "reddit table2/reddit2_e.yml": 0.966, "reddit table2/reddit2_rw.yml": 0.966, "reddit table2/reddit2_mrw.yml": 0.964,
	"yelp table2/yelp2_n.yml": 0.641, "yelp table2/yelp2_e.yml": 0.653, "yelp table2/yelp2_rw.yml": 0.653, "yelp table2/yelp2_mrw.yml": 0.652,
	"amazon table2/amazon_2_n.yml": 0.782, "amazon table2/amazon_2_e.yml": 0.807, "amazon table2/amazon_2_rw.yml": 0.815, "amazon table2/amazon_2_mrw.yml": 0.809,
	"ppi-large explore/ppi-large_2.yml": 0.941, "ppi-large explore/ppi-large_5.yml": 0.995,
	"reddit explore/reddit4_jk_e.yml": 0.970, "reddit explore/reddit2_gat.yml": 0.967, "reddit explore/reddit2_gaan.yml": 0.968,
	"reddit explore/reddit2_o2_rw.yml": 0.967,
	"flickr explore/flickr2_gat.yml":   0.510, "yelp explore/yelp2_gat.yml": 0.652, "yelp explore/yelp2_gaan.yml": 0.651,
	"amazon explore/amazon2_gat.yml":                               0.815,
	"ogbn-products open_graph_benchmark/ogbn-products_3_e_gat.yml": 0.8027,
}

// publishedF1 returns the published score of a configuration on a data set, if there is one.
func publishedF1(data, config string) (float64, bool) {
	for key, f1 := range published {
		d, c, _ := strings.Cut(key, " ")
		if d == data && (c == config || strings.HasSuffix(config, "/"+c)) {
			return f1, true
		}
	}
	return 0, false
}
