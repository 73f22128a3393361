export interface Tea {
  readonly id: string
  readonly name: string
  readonly origin: string
  readonly notes: string
  /** Cents, for 100 g. */
  readonly price: number
}

/** The teas of the shop. A real shop reads them from a table. */
export const teas: readonly Tea[] = [
  { id: 'sencha', name: 'Sencha', origin: 'Shizuoka, Japan', notes: 'Cut grass, sea air, a little sweetness.', price: 950 },
  { id: 'darjeeling', name: 'First Flush Darjeeling', origin: 'West Bengal, India', notes: 'Spring flowers, muscat grape.', price: 1480 },
  { id: 'oolong', name: 'Iron Goddess Oolong', origin: 'Anxi, China', notes: 'Orchid, warm butter, a long finish.', price: 1320 },
  { id: 'lapsang', name: 'Lapsang Souchong', origin: 'Wuyi, China', notes: 'Pine smoke, dried plum, leather.', price: 1100 },
  { id: 'rooibos', name: 'Red Rooibos', origin: 'Cederberg, South Africa', notes: 'Vanilla, honey, no caffeine at all.', price: 780 },
  { id: 'mint', name: 'Moroccan Mint', origin: 'Meknes, Morocco', notes: 'Cool, clear, made for hot days.', price: 690 }
]

/** Returns the name of a tea, or the id if no tea has it. */
export function teaName (id: string): string {
  return teas.find((tea) => tea.id === id)?.name ?? id
}

export interface CartLine {
  readonly tea: Tea
  readonly count: number
}

/** Returns the lines of a cart (tea id to count), in the order of the catalogue. Teas that are no longer sold are left out. */
export function cartLines (cart: Readonly<Record<string, number>>): CartLine[] {
  return teas.flatMap((tea) => {
    const count = cart[tea.id]
    return count === undefined ? [] : [{ tea, count }]
  })
}

/** Returns the sum of the lines in cents. */
export function total (lines: readonly CartLine[]): number {
  return lines.reduce((sum, { tea, count }) => sum + tea.price * count, 0)
}
