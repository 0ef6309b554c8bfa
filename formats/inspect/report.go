package inspect

// Split names a group of nodes.
type Split string

// The splits, in the order of [Report.Splits], and the nodes in none of them.
const (
	Train      Split = "train"
	Validation Split = "validation"
	Test       Split = "test"
	None       Split = "none"
)

// splitNames holds the splits under the numbers that the computation uses.
var splitNames = [4]Split{Train, Validation, Test, None}

// Report is all that is known of a data set. Shares lie in 0…1. A quantity that does not
// exist, such as the homophily of a graph without edges, is nil and absent from the JSON.
type Report struct {
	Type        string `json:"type"` // always "inspect"
	Name        string `json:"name"`
	Fingerprint string `json:"fingerprint"` // of the data set, as in run.json
	Nodes       int    `json:"nodes"`
	Weighted    bool   `json:"weighted"` // the graphs carry weights other than 1

	// Full covers all nodes, Train the training nodes.
	Full  GraphStats `json:"full_graph"`
	Train GraphStats `json:"train_graph"`
	// EdgesBetween counts the entries of the full graph by the splits of their two ends.
	EdgesBetween []SplitEdges `json:"edges_between"`
	// TrainNotInFull counts the edges of the training graph that the full graph lacks,
	// FullNotInTrain those of the full graph between training nodes that the training graph
	// lacks.
	TrainNotInFull int64 `json:"train_edges_not_in_full"`
	FullNotInTrain int64 `json:"full_edges_missing_in_train"`

	Splits   [3]SplitStats `json:"splits"` // train, validation, test
	NoRole   int           `json:"nodes_without_role"`
	Labels   LabelStats    `json:"labels"`
	Features FeatureStats  `json:"features"`

	// Homophily is how alike neighbours are: for single-label data the share of edges between
	// labelled nodes whose ends have the same class, for multi-label data the mean Jaccard
	// index (common labels by labels of either) of the ends. Self loops do not count, nor do
	// edges between two nodes without any label.
	Homophily *float64 `json:"edge_homophily,omitempty"`
	// HomophilyByChance is what single-label homophily would be with the same classes at the
	// same degrees and edges drawn at random.
	HomophilyByChance *float64 `json:"edge_homophily_by_chance,omitempty"`

	// LoadWarnings is what loading the folder found odd but usable.
	LoadWarnings []string  `json:"load_warnings"`
	Warnings     []Finding `json:"warnings"`
}

// GraphStats describes one graph over a set of nodes. Edges are stored entries: an undirected
// edge counts twice.
type GraphStats struct {
	Nodes     int   `json:"nodes"` // the nodes that are looked at
	Edges     int64 `json:"edges"`
	SelfLoops int64 `json:"self_loops"`
	Symmetric bool  `json:"symmetric"`
	// Reciprocal is the share of edges (v, u) for which (u, v) is stored too; 1 without edges.
	Reciprocal float64 `json:"reciprocal_share"`
	// Isolated counts nodes with no edge to or from another node; NoNeighbors those that
	// aggregate from nobody: their row is empty.
	Isolated    int        `json:"isolated"`
	NoNeighbors int        `json:"no_neighbors"`
	Degrees     Degrees    `json:"degrees"`
	Components  Components `json:"components"`
	// Histogram holds at index d how many of the nodes have degree d.
	Histogram []int64 `json:"-"`
}

// Degrees holds quantiles of the numbers of stored neighbours, by nearest rank.
type Degrees struct {
	Min  int     `json:"min"`
	P25  int     `json:"p25"`
	P50  int     `json:"p50"`
	P75  int     `json:"p75"`
	P90  int     `json:"p90"`
	P99  int     `json:"p99"`
	Max  int     `json:"max"`
	Mean float64 `json:"mean"`
}

// Components describes the weakly connected components; an isolated node is one.
type Components struct {
	Count        int     `json:"count"`
	Largest      int     `json:"largest"` // nodes
	LargestShare float64 `json:"largest_share"`
}

// SplitEdges counts the edges by which nodes of split Row aggregate from nodes of split Column.
type SplitEdges struct {
	Row    Split `json:"row"`
	Column Split `json:"column"`
	Edges  int64 `json:"edges"`
}

// SplitStats describes the nodes of one split.
type SplitStats struct {
	Split Split   `json:"split"`
	Nodes int     `json:"nodes"`
	Share float64 `json:"share"` // of all nodes
	// Isolated counts nodes without another neighbour in the full graph.
	Isolated int `json:"isolated"`
	// Counts holds for every class how many of the nodes have it.
	Counts []int64 `json:"class_counts"`
	// ClassesPresent is the number of classes that occur.
	ClassesPresent int `json:"classes_present"`
	// MajorityClass is the most frequent class (the least of several) in the numbering of the
	// files, MajorityShare the share of nodes that have it; -1 and 0 without nodes.
	MajorityClass int64   `json:"majority_class"`
	MajorityShare float64 `json:"majority_share"`
	// Entropy of single-label classes in bits; Balance is Entropy by its greatest value,
	// log2 of the number of classes: 1 when all are equally frequent.
	Entropy *float64 `json:"entropy_bits,omitempty"`
	Balance *float64 `json:"balance,omitempty"`
	// LabelsPerNode is the mean number of labels of multi-label data, NoLabel the number of
	// nodes without any.
	LabelsPerNode *float64 `json:"labels_per_node,omitempty"`
	NoLabel       int      `json:"nodes_without_label"`
	// GuessF1 is the F1-micro of the best answer that is the same for all nodes, chosen on
	// the training nodes: a model that is not better has learnt nothing.
	GuessF1 float64 `json:"guess_f1_micro"`
}

// LabelStats describes the labels of all nodes.
type LabelStats struct {
	Classes    int   `json:"classes"`
	Multi      bool  `json:"multi_label"`
	Offset     int64 `json:"offset"`     // the files' least class
	Unlabelled int   `json:"unlabelled"` // nodes without a class, or with an all-zero row
	// AbsentFromTrain lists classes that validation or test nodes have and no training node
	// has; Unused those that no node has. In the numbering of the files.
	AbsentFromTrain []int64 `json:"classes_absent_from_train"`
	Unused          []int64 `json:"unused_classes"`
}

// FeatureStats describes the features as they are in the files.
type FeatureStats struct {
	Columns int     `json:"columns"`
	Min     float64 `json:"min"`
	Max     float64 `json:"max"`
	Mean    float64 `json:"mean"`
	Zeros   float64 `json:"zero_share"`
	// ZeroRows counts nodes all of whose features are 0.
	ZeroRows int `json:"zero_rows"`
	// Constant lists columns with one value for all nodes; ConstantInTrain those that vary,
	// but not over the training nodes: they are not scaled.
	Constant        []int `json:"constant_columns"`
	ConstantInTrain []int `json:"constant_in_train_columns"`
	// Outliers lists columns with a value more than 100 training standard deviations from the
	// training mean; Greatest is the greatest such distance over all columns.
	Outliers []int   `json:"outlier_columns"`
	Greatest float64 `json:"greatest_deviation"`
	// Imprecise lists columns whose deviation is so small against their mean that float32
	// keeps less than about two digits of it.
	Imprecise []int `json:"imprecise_columns"`
	// TwinsInTrain counts for validation and test the nodes whose features, not all zero,
	// are exactly those of a training node.
	TwinsInTrain [2]int `json:"twins_in_train"`
	// Bytes is the size of the matrix in memory.
	Bytes int64 `json:"bytes"`
}

// Severity says how much a finding matters.
type Severity string

// Severities.
const (
	Warn Severity = "warning" // likely to spoil training or its scores
	Note Severity = "note"    // worth knowing
)

// Finding is one thing that stands out.
type Finding struct {
	Severity Severity `json:"severity"`
	Code     string   `json:"code"` // stable name of the kind of finding
	Message  string   `json:"message"`
	Advice   string   `json:"advice"` // what to do
}
