"""The reports that the law asks for: processing record, closing report, breach report."""
