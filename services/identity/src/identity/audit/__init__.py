"""What people changed in any service: kept in chains that show tampering."""
