/** A product as the catalogue offers it. Money is in whole cents. */
export interface Product {
  readonly sku: string;
  readonly name: string;
  readonly description: string;
  readonly maker: string;
  readonly category: string;
  readonly tags: readonly string[];
  readonly priceCents: number;
  readonly currency: string;
  readonly weightGrams: number;
}
