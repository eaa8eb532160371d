"""Contracts and shared mathematics; imports no other room of the house."""
