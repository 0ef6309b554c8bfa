package main

// didYouMean returns the words that follow an unknown name, "" without a suggestion.
func didYouMean(prefix, name string) string {
	if name == "" {
		return ""
	}
	return ", did you mean " + prefix + name + "?"
}
