"""Stories: that the simulator runs them as told, and that the detector judges them as it should."""
